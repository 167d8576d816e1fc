import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { faultsIn } from '../scripts/rooms.mjs'

/** Faults of a tree of files with these imports. */
function faultsOf (t: Test, files: Record<string, string>): string[] {
  const root = t.testdir({ plugin: {}, schemas: {}, client: {}, benchmarks: {} })
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), text)
  }
  return faultsIn(root)
}

t.test('this repository has no fault', async (t) => {
  t.same(faultsIn(fileURLToPath(new URL('..', import.meta.url))), [])
})

t.test('an import names file, import and rule when it goes up, sideways, out of the house or in a circle', async (t) => {
  const rows: Array<[files: Record<string, string>, fault: RegExp]> = [
    [{ 'plugin/delivery/a.ts': "import { b } from '../sessions/b.ts'", 'plugin/sessions/b.ts': '' }, /^plugin\/delivery\/a\.ts imports plugin\/sessions\/b\.ts: "delivery" is on floor 2, "sessions" on floor 4; a room imports only rooms on lower floors$/],
    [{ 'plugin/sse/a.ts': "import type { B } from '../websocket/b.ts'", 'plugin/websocket/b.ts': '' }, /^plugin\/sse\/a\.ts imports plugin\/websocket\/b\.ts: "sse" is on floor 5, "websocket" on floor 5/],
    [{ 'plugin/streams/a.ts': "type B = import('../app/b.ts').B", 'plugin/app/b.ts': '' }, /^plugin\/streams\/a\.ts imports plugin\/app\/b\.ts/],
    [{ 'plugin/streams/a.ts': "export { b } from '../app/b.ts'", 'plugin/app/b.ts': '' }, /^plugin\/streams\/a\.ts imports plugin\/app\/b\.ts/],
    [{ 'plugin/streams/a.ts': "const b = await import('../app/b.ts')", 'plugin/app/b.ts': '' }, /^plugin\/streams\/a\.ts imports plugin\/app\/b\.ts/],
    [{ 'schemas/a.ts': "import type { B } from '../plugin/protocol/b.ts'", 'plugin/protocol/b.ts': '' }, /^schemas\/a\.ts imports plugin\/protocol\/b\.ts: "schemas" is on floor 0/],
    [{ 'plugin/streams/a.ts': "import { tether } from 'fastify-tether'" }, /^plugin\/streams\/a\.ts imports "fastify-tether", which is this package by its public name/],
    [{ 'plugin/cellar/a.ts': '' }, /^plugin\/cellar\/a\.ts is in no room/],
    [{ 'client/a.ts': "import type { B } from '../plugin/protocol/b.ts'", 'plugin/protocol/b.ts': '' }, /^client\/a\.ts imports plugin\/protocol\/b\.ts: the client imports only its own files/],
    [{ 'client/a.ts': "import type { B } from '../schemas/b.ts'\nimport { b } from '../schemas/b.ts'", 'schemas/b.ts': '' }, /^client\/a\.ts imports values of schemas\/b\.ts: the client imports only types from "schemas"$/],
    [{ 'plugin/streams/a.ts': "import type { B } from './b.ts'", 'plugin/streams/b.ts': "import type { A } from './a.ts'" }, /^plugin\/streams\/a\.ts imports plugin\/streams\/b\.ts imports plugin\/streams\/a\.ts: files must not import each other in a circle$/],
    [{ 'tune/measure/a.ts': "import { b } from '../decision/b.ts'", 'tune/decision/b.ts': '' }, /^tune\/measure\/a\.ts imports tune\/decision\/b\.ts: "measure" is on floor 3, "decision" on floor 4/],
    [{ 'tune/measure/a.ts': "import { b } from '../../plugin/protocol/b.ts'", 'plugin/protocol/b.ts': '' }, /^tune\/measure\/a\.ts imports plugin\/protocol\/b\.ts: "tune" imports only its own files/],
    [{ 'benchmarks/a.ts': "import { b } from './b.ts'", 'benchmarks/b.ts': "import { a } from './a.ts'" }, /circle$/]
  ]
  for (const [files, fault] of rows) {
    const [first = 'none', ...others] = faultsOf(t, files)
    t.match(first, fault)
    t.same(others, [])
  }
})

t.test('an import that goes down, or stays in its room, is none', async (t) => {
  t.same(faultsOf(t, {
    'plugin/sessions/a.ts': "import { b } from '../streams/b.ts'; import { c } from './c.ts'; import { d } from '../../schemas/d.ts'; import fastify from 'fastify'",
    'plugin/streams/b.ts': '',
    'plugin/sessions/c.ts': '',
    'schemas/d.ts': '',
    'client/e.ts': "import type { D } from '../schemas/d.ts'"
  }), [])
})
