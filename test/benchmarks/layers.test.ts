import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('../../benchmarks/', import.meta.url))

/** A folder imports only folders on lower floors, and itself. All other folders are benchmarks, on the top floor. */
const floors: Readonly<Record<string, number>> = {
  'harness/process': 0,
  'harness/report': 1,
  'harness/streams': 1,
  'harness/load': 2,
  'harness/broadcast': 2
}
const topFloor = 3

interface Import {
  readonly from: string
  readonly to: string
}

/** Every import between files of the benchmarks: of values, of types, and at run time. */
function readImports (): Import[] {
  return readdirSync(root, { encoding: 'utf8', recursive: true }).filter((file) => file.endsWith('.ts')).flatMap((file) => {
    const source = readFileSync(join(root, file), 'utf8')
    return [...source.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'(\.[^']+\.ts)'/g)]
      .map(([, specifier = '']) => ({ from: file, to: relative(root, join(root, dirname(file), specifier)) }))
      .filter(({ to }) => !to.startsWith('..'))
  })
}

function floorOf (folder: string): number {
  return floors[folder.split(sep).join('/')] ?? topFloor
}

const imports = readImports()

t.test('a folder of the benchmarks imports only lower floors', async (t) => {
  t.ok(imports.length > 100)
  for (const { from, to } of imports) {
    if (dirname(from) === dirname(to)) continue
    t.ok(floorOf(dirname(to)) < floorOf(dirname(from)), `${from} imports ${to}: it must lie on a lower floor`)
  }
})

t.test('no file of the benchmarks imports itself by way of others, types included', async (t) => {
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) t.fail(`cycle: ${[...path.slice(path.indexOf(file)), file].join(' → ')}`)
    if (path.includes(file) || done.has(file)) return
    for (const { to } of imports.filter(({ from }) => from === file)) visit(to, [...path, file])
    done.add(file)
  }
  for (const { from } of imports) visit(from, [])
  t.ok(done.size > 50)
})
