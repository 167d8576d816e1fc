import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Change } from '../../../plugin/cluster/hub/hub-store.ts'
import { MemoryFile, readMemory } from '../../../plugin/cluster/local/memory-file.ts'

const identity = { id: 'hub', epoch: 7 }
const entry = (text: string): Change => ['append', text, 1, Buffer.from(text)]

function place (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'tether-memory-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'hub.memory')
}

function read (path: string) {
  const found = readMemory(path)
  return found === null ? null : { id: found.id, epoch: found.epoch, texts: [...found.changes].map((change) => change[1]) }
}

t.test('what was flushed is read, and what was not is not', async (t) => {
  const path = place(t)
  const file = new MemoryFile(path, identity, () => [entry('start')])
  t.equal(statSync(path).mode & 0o777, 0o600, 'nobody else can read it')
  file.record(entry('a'))
  file.record(entry('b'))
  t.same(read(path), { ...identity, texts: ['start'] })
  file.flush()
  t.same(read(path), { ...identity, texts: ['start', 'a', 'b'] })
  file.record(entry('c'))
  file.close()
  t.same(read(path)?.texts, ['start', 'a', 'b', 'c'])
})

t.test('a change that was cut short, and noise, end the reading', async (t) => {
  const path = place(t)
  const file = new MemoryFile(path, identity, () => [])
  for (const text of ['a', 'b', 'c']) file.record(entry(text))
  file.close()
  const whole = readFileSync(path)
  truncateSync(path, whole.length - 3)
  t.same(read(path)?.texts, ['a', 'b'])
  writeFileSync(path, whole)
  appendFileSync(path, Buffer.alloc(100))
  t.same(read(path)?.texts, ['a', 'b', 'c'])
  for (let length = 0; length < whole.length; length += 3) {
    truncateSync(path, 0)
    writeFileSync(path, whole.subarray(0, length))
    t.doesNotThrow(() => read(path))
  }
})

t.test('no file, an empty one and one of another kind are no memory', async (t) => {
  const path = place(t)
  t.equal(readMemory(path), null)
  for (const text of ['', 'hello, this is no memory']) {
    writeFileSync(path, text)
    t.equal(readMemory(path), null)
  }
})

t.test('a file that has grown is written anew, with what the memory has by then', async (t) => {
  const path = place(t)
  const file = new MemoryFile(path, identity, () => [entry('all there is')])
  const payload = 'x'.repeat(1_000_000)
  for (let index = 0; index < 40; index++) {
    file.record(entry(payload))
    file.flush()
  }
  t.ok(statSync(path).size < 20_000_000, String(statSync(path).size))
  file.record(entry('last'))
  file.close()
  const texts = read(path)!.texts
  t.equal(texts[0], 'all there is')
  t.equal(texts.at(-1), 'last')
})

t.test('if a write fails, no file is left that lacks a change', async (t) => {
  const path = place(t)
  let isFull = false
  const file = new MemoryFile(path, identity, function * () {
    if (isFull) throw new Error('ENOSPC')
    yield entry('start')
  })
  const payload = 'x'.repeat(20_000_000)
  isFull = true
  for (let index = 0; index < 3; index++) {
    file.record(entry(payload))
    t.doesNotThrow(() => { file.flush() })
  }
  t.equal(readMemory(path), null)
  file.record(entry('more'))
  file.close()
  t.equal(readMemory(path), null)
})
