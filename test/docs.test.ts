import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { errorTable } from '../schemas/error-table.ts'
import { floors } from '../scripts/rooms.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const documents = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', ...readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)]

function read (name: string): string {
  return readFileSync(join(root, name), 'utf8')
}

/** The cells of each row of the tables in a text whose first cell is code. A bar within a cell is written `\|`. */
function rows (text: string): string[][] {
  return text.split('\n').filter((line) => line.startsWith('| `'))
    .map((line) => line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim()))
}

function name (cell: string | undefined): string {
  return /^`([^`]+)`$/.exec(cell ?? '')?.[1] ?? ''
}

t.test('docs/errors.md lists every error, with its status', async (t) => {
  const listed = rows(read('docs/errors.md')).map(([code, status]): [string, number] => [name(code), Number(status)])
  t.strictSame(Object.fromEntries(listed), errorTable, 'docs/errors.md has the codes and statuses of schemas/errors.ts')
  t.equal(listed.length, Object.keys(errorTable).length, 'docs/errors.md has each code once')
  for (const [code, , when, advice] of rows(read('docs/errors.md'))) t.ok(when !== '' && advice !== '', `docs/errors.md: ${code} needs "when" and "what to do"`)
})

t.test('the tables of answers list every error that answers a request, with its status', async (t) => {
  const answers = Object.entries(errorTable).filter(([, status]) => status !== 500 && status !== 499)
  for (const document of ['README.md', 'docs/protocol.md']) {
    const lines = read(document).split('\n')
    for (const [code, status] of answers) {
      const short = code === 'FST_ERR_TETHER_DRAINING' ? '_DRAINING' : code
      t.ok(lines.some((line) => line.startsWith('|') && line.includes(short) && line.includes(` ${status} `)), `${document}: ${code}`)
    }
  }
})

t.test('no document names an error that there is not', async (t) => {
  for (const document of documents) {
    const codes = new Set(read(document).match(/FST_ERR_(TETHER_[A-Z_]+|VALIDATION)/g))
    t.strictSame([...codes].filter((code) => !(code in errorTable)), [], document)
  }
})

t.test('docs/client.md lists every type that an entry of the client exports, and no other', async (t) => {
  const section = /^## Types\n(.*?)^```/ms.exec(read('docs/client.md'))?.[1] ?? ''
  const listed = [...section.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) => [...cell.matchAll(/`(\w+)/g)].map(([, type]) => type!))
  const exported = ['index', 'indexed-db', 'shared', 'websocket-link', 'store', 'react', 'vue', 'svelte'].flatMap((entry) => {
    const source = read(`client/${entry}.ts`)
    const again = [...source.matchAll(/^export type \{ (.*?) \}/gm)].flatMap(([, names = '']) => names.split(', '))
    return [...again, ...[...source.matchAll(/^export (?:interface|type) (\w+)/gm)].map(([, type]) => type!)]
  })
  t.ok(exported.length > 20)
  t.strictSame(listed.sort(), exported.sort())
})

t.test('every link within the documents leads somewhere', async (t) => {
  for (const document of documents) {
    const prose = read(document).replace(/^```.*?^```$/gms, '').replace(/`[^`]*`/g, '')
    for (const [, target = ''] of prose.matchAll(/\]\(([^)]+)\)/g)) {
      if (/^https?:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? document : join(dirname(document), path)
      if (!t.ok(existsSync(join(root, file)), `${document}: ${target}`)) continue
      if (anchor !== undefined) t.ok(anchors(read(file)).includes(anchor), `${document}: ${target}`)
    }
  }
})

function anchors (text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-'))
}

t.test('CONTRIBUTING.md names files that there are', async (t) => {
  const named = [...read('CONTRIBUTING.md').matchAll(/`((?:plugin|schemas|client|test|scripts|docs|examples|benchmarks)\/[^`<>*… ]+)`/g)].map(([, path]) => path!)
  t.ok(named.length > 30)
  for (const path of named) t.ok(existsSync(join(root, path)), path)
})

t.test('docs/architecture.md has the rooms of the check, each on its floor', async (t) => {
  const rows = [...read('docs/architecture.md').matchAll(/^\| (\d) \| `([a-z]+)` \|/gm)].map(([, floor, room]) => [room, Number(floor)])
  t.same(Object.fromEntries(rows), Object.fromEntries(floors.flatMap((rooms, floor) => rooms.map((room) => [room, floor]))))
})
