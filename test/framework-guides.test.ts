import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))

const folder = mkdtempSync(join(tmpdir(), 'tether-frameworks-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))

const read = (name: string) => readFileSync(join(root, `docs/${name}.md`), 'utf8')

/** Writes the blocks of a guide that have a file's name. Of a component, the compiler gets the script. */
function writeBlocks (name: string): number {
  mkdirSync(join(folder, name))
  let count = 0
  for (const [, file, code] of read(name).matchAll(/^```\w+ (\S+)\n(.*?)^```$/gms)) {
    const script = /\.(vue|svelte)$/.test(file!) ? /<script.*?>\n(.*?)<\/script>/s.exec(code!)![1]! : code!
    writeFileSync(join(folder, name, file!.replace(/\.(vue|svelte)$/, '-$1.ts')), script)
    count++
  }
  return count
}

/** Blocks of the client's guide stand alone: what they take for given is declared before them. */
const given: Record<string, string> = {
  live: 'declare const live: import(\'fastify-tether/client\').Connection<typeof import(\'./contract.js\').contract>',
  connect: 'import { connect } from \'fastify-tether/client\'',
  store: 'import { store } from \'fastify-tether/client/store\'',
  contract: 'import type { contract } from \'./contract.js\'',
  button: 'declare const button: HTMLButtonElement',
  draw: 'declare function draw (...given: any[]): void'
}

function writeSection (heading: string): number {
  const [, section] = new RegExp(`^#+ ${heading}\\n(.*?)(?=^#+ )`, 'ms').exec(read('client')) ?? []
  const blocks = [...section!.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!)
  for (const [index, code] of blocks.entries()) {
    const preamble = Object.entries(given).filter(([name]) => new RegExp(`\\b${name}\\b`).test(code) && !new RegExp(`(const |import .*\\b)${name}\\b.*(=|from)`).test(code)).map(([, line]) => line)
    writeFileSync(join(folder, 'client', `${heading.replaceAll(/\W+/g, '-')}-${index}.ts`), `${[...preamble, code].join('\n')}\nexport {}\n`)
  }
  return blocks.length
}

t.test('the examples of the guides, and that in React, compile strictly', async (t) => {
  for (const name of ['react', 'vue', 'svelte']) t.ok(writeBlocks(name) >= 4, name)
  mkdirSync(join(folder, 'client'))
  for (const heading of ['Connecting later', 'Latency', 'Stores: values for pages that draw', 'React Native']) t.ok(writeSection(heading) > 0, heading)
  writeFileSync(join(folder, 'client/contract.ts'), `
    import { Type } from '@sinclair/typebox'
    import { conflate, defineContract } from 'fastify-tether'
    export const contract = defineContract({
      events: { 'range.set': Type.Object({ range: Type.String() }) },
      updates: { sample: conflate(Type.Object({ series: Type.String(), v: Type.Number() }), ({ series }) => series) }
    })
  `)
  writeFileSync(join(folder, 'modules.d.ts'), `
    declare module '*.vue' { const component: object; export default component }
    declare module '*.svelte' { const component: object; export default component }
    declare module 'react-dom/client' { export const createRoot: (root: Element) => { render: (page: unknown) => void } }
    declare module 'expo/fetch' { export const fetch: (url: string) => Promise<unknown> }
  `)
  const source = (path: string) => [join(root, path)]
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({
    compilerOptions: {
      target: 'es2022',
      lib: ['es2023', 'dom', 'dom.iterable', 'dom.asynciterable'],
      types: ['node', 'vite/client'],
      module: 'esnext',
      moduleResolution: 'bundler',
      jsx: 'react-jsx',
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      allowImportingTsExtensions: true,
      skipLibCheck: true,
      noEmit: true,
      paths: {
        'fastify-tether': source('plugin/index.ts'),
        'fastify-tether/client': source('client/index.ts'),
        'fastify-tether/client/store': source('client/store.ts'),
        'fastify-tether/react': source('client/react.ts'),
        'fastify-tether/vue': source('client/vue.ts'),
        'fastify-tether/svelte': source('client/svelte.ts')
      }
    },
    include: ['.', join(root, 'examples/react/page')]
  }))
  const compiled = await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', '.'], { cwd: folder }).catch((error: { stdout: string }) => error)
  t.equal(compiled.stdout, '')
})
