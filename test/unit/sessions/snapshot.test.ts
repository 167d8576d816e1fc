import { deepStrictEqual, equal, ok } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { nodeMark } from '../../../plugin/cluster/log-position.ts'
import { asBackup, decodeEntry, decodeSnapshot, encodeEntry, encodeSnapshot, type SessionSnapshot, type SnapshotFrame } from '../../../plugin/sessions/snapshot.ts'
import { effort } from '../../harness/effort.ts'

const plain: SessionSnapshot = {
  state: '{"name":"Ada"}',
  stateVersion: 1,
  boundTo: 'u1',
  owner: '=u1',
  everConnected: true,
  proven: true,
  counted: true,
  groups: ['hosts'],
  acceptedSeq: 7,
  takers: [{ sender: null, from: 1 }, { sender: 'tab-2', from: 5 }],
  first: 12,
  frames: [],
  log: { at: '1764414223000-0', before: '1764414222900-3', known: { [nodeMark('one')]: 120, [nodeMark('two')]: 4_711 } },
  framesAfter: null,
  takenAt: 1_764_414_223_123,
  ageMs: 60_000,
  detachedMs: 0,
  idleMs: 60_000,
  leaveMs: null,
  subscriptions: [{ topic: 'host', name: 'host?id=a', params: { id: 'a', deep: false }, given: { id: 'a' }, held: 'a1b2c3d4', epoch: 7 }],
  replies: [[6, 'event: tether.reply\ndata: {"seq":6,"data":1}\n\n', 11], [7, 'event: tether.reply\ndata: {"seq":7,"data":2}\n\n', 0]]
}

const places = fc.record({ node: fc.constantFrom('one', 'two', 'three').map(nodeMark), counter: fc.integer({ min: 1, max: 9 }), index: fc.nat({ max: 3 }) })
const texts = fc.tuple(fc.constantFrom('', 'event: note\n'), fc.array(fc.string().filter((line) => !/[\r\n\0]/.test(line)), { minLength: 1, maxLength: 3 }))
  .map(([event, lines]) => `${event}${lines.map((line) => `data: ${line}\n`).join('')}\n`)
const runs = fc.tuple(places, fc.integer({ min: 1, max: 6 }), fc.boolean()).map(([place, count, isOfOneEntry]) => Array.from({ length: count }, (_, number) =>
  ({ place: isOfOneEntry ? { ...place, index: place.index + number } : { ...place, counter: place.counter + number } })))
const inlines = fc.record({ text: texts, key: fc.option(fc.string()), shared: fc.boolean() }).map((one) => [one])
/** Ages that the steps of the encoding keep exactly. */
const frames = fc.tuple(fc.array(fc.oneof(runs, inlines), { maxLength: 8 }), fc.array(fc.nat({ max: 60 }), { maxLength: 30 })).map(([parts, ages]): SnapshotFrame[] => {
  const sorted = ages.sort((one, two) => two - one)
  return parts.flat().map((one, index) => ({ ...one, writtenMsAgo: sorted[index] ?? null }))
})
const names = fc.string({ minLength: 1 })
const numbers = fc.nat()
const snapshots: fc.Arbitrary<SessionSnapshot> = fc.record({
  state: fc.option(fc.json().map((text) => JSON.stringify(JSON.parse(text)))),
  stateVersion: numbers,
  boundTo: fc.option(names),
  owner: fc.option(names),
  everConnected: fc.boolean(),
  proven: fc.boolean(),
  counted: fc.option(fc.boolean()),
  groups: fc.array(names),
  acceptedSeq: numbers,
  takers: fc.array(fc.record({ sender: fc.option(names), from: numbers }), { maxLength: 16 }),
  first: fc.integer({ min: 1, max: 1_000_000 }),
  frames,
  log: fc.option(fc.record({ at: names, before: fc.option(names), known: fc.dictionary(fc.constantFrom('one', 'two', 'four').map(nodeMark), fc.integer({ min: 1, max: 1e9 })) })),
  framesAfter: fc.option(names),
  takenAt: fc.integer({ min: 0, max: 2e12 }),
  ageMs: numbers,
  detachedMs: numbers,
  idleMs: numbers,
  leaveMs: fc.option(numbers),
  subscriptions: fc.array(fc.record({ topic: names, name: names, params: fc.dictionary(names, fc.oneof(names, numbers, fc.boolean())), given: fc.dictionary(names, fc.oneof(names, numbers, fc.boolean())), held: fc.string(), epoch: fc.nat() }), { maxLength: 3 }),
  replies: fc.array(fc.tuple(fc.integer({ min: 1 }), texts, numbers), { maxLength: 3 })
})

/** Dictionaries of fast-check may have no prototype. */
const copied = (snapshot: SessionSnapshot): unknown => JSON.parse(JSON.stringify(snapshot))

t.test('what goes in comes out', async (t) => {
  deepStrictEqual(decodeSnapshot(encodeSnapshot(plain)), plain)
  fc.assert(fc.property(snapshots, (snapshot) => {
    const decoded = decodeSnapshot(encodeSnapshot(snapshot))
    deepStrictEqual(copied(decoded), copied(snapshot))
    deepStrictEqual(copied(decodeSnapshot(encodeSnapshot(decoded))), copied(decoded))
  }), { numRuns: 300 * effort })
  t.pass()
})

t.test('ages are kept roughly, and never grow', async (t) => {
  const frames = Array.from({ length: 1_000 }, (_, index): SnapshotFrame => ({ text: `data: ${index}\n\n`, key: null, shared: false, writtenMsAgo: 60_000.5 - index * 60 }))
  const decoded = decodeSnapshot(encodeSnapshot({ ...plain, frames }))
  for (const [index, { writtenMsAgo }] of decoded.frames.entries()) {
    const before = frames[index]!.writtenMsAgo!
    ok(writtenMsAgo! <= before && before - writtenMsAgo! < 1_000, `${before} ${writtenMsAgo}`)
  }
  t.equal(decoded.frames.length, 1_000)
})

t.test('a later version may add at the end', async (t) => {
  const bytes = Buffer.from(JSON.stringify([...JSON.parse(encodeSnapshot(plain).toString()) as unknown[], { more: true }]))
  t.same(decodeSnapshot(bytes), plain)
  const earlier = JSON.parse(encodeSnapshot(plain).toString()) as unknown[]
  t.same(decodeSnapshot(Buffer.from(JSON.stringify(earlier.slice(0, -2)))), { ...plain, subscriptions: [], replies: [] }, 'an earlier version had neither topics nor requests')
  const other = Buffer.from(JSON.stringify([2, ...(JSON.parse(encodeSnapshot(plain).toString()) as unknown[]).slice(1)]))
  t.throws(() => decodeSnapshot(other), { code: 'FST_ERR_TETHER_SNAPSHOT', message: /format is 2, and this node reads 1/ })
})

/** Calls `decodeSnapshot` with anything. Returns whether it is a snapshot. */
function tryDecode (bytes: Buffer): boolean {
  try {
    const snapshot = decodeSnapshot(bytes)
    // What was accepted can be written again.
    encodeSnapshot(snapshot)
    for (const frame of snapshot.frames) if ('text' in frame) ok(/^(?:event: .*\n)?(?:data: .*\n)+\n$/.test(frame.text), frame.text)
    return true
  } catch (error) {
    equal((error as { code?: string }).code, 'FST_ERR_TETHER_SNAPSHOT', String((error as Error).stack))
    return false
  }
}

t.test('foreign bytes give its own error, and no other', async (t) => {
  const withFrames: SessionSnapshot = {
    ...plain,
    frames: [
      { place: { node: nodeMark('one'), counter: 118, index: 0 }, writtenMsAgo: 50 },
      { place: { node: nodeMark('one'), counter: 119, index: 0 }, writtenMsAgo: 50 },
      { text: 'event: note\ndata: "x"\n\n', key: 'note\n1', shared: true, writtenMsAgo: null }
    ]
  }
  const bytes = encodeSnapshot(withFrames)
  for (const text of ['', 'null', '1', '{}', '[]', '[1]', '[1,null]', '"x"', '[null,1]', '['.repeat(100_000), `[1,${'['.repeat(50_000)}${']'.repeat(50_000)},1]`]) t.equal(tryDecode(Buffer.from(text)), false, text.slice(0, 20))
  let accepted = 0
  // Single bytes changed, removed, doubled.
  fc.assert(fc.property(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 255 }), fc.constantFrom(0, 1, 2), (at, byte, kind) => {
    const end = kind === 2 ? at : at + 1
    if (tryDecode(Buffer.concat([bytes.subarray(0, at), Buffer.from(kind === 1 ? [] : [byte]), bytes.subarray(end)]))) accepted++
  }), { numRuns: 2_000 * effort })
  t.ok(accepted > 0, 'some changes make another snapshot')
  // Parts replaced by anything that JSON has.
  const parts = JSON.parse(bytes.toString()) as unknown[]
  fc.assert(fc.property(fc.nat({ max: parts.length - 1 }), fc.jsonValue(), (at, value) => {
    tryDecode(Buffer.from(JSON.stringify(parts.with(at, value))))
  }), { numRuns: 1_000 * effort })
  const framesAt = parts.findIndex((part) => JSON.stringify(part)?.includes('event: note'))
  fc.assert(fc.property(fc.array(fc.array(fc.oneof(fc.integer(), fc.string(), fc.constant(null), fc.constantFrom('data: x\n\n', 'event: tether\ndata: {}\n\n', 'data: a\n\ndata: b\n\n')), { maxLength: 6 })), fc.array(fc.integer({ min: -1, max: 1e16 }), { maxLength: 5 }), (given, ages) => {
    tryDecode(Buffer.from(JSON.stringify(parts.with(framesAt, given).with(framesAt + 1, ages))))
  }), { numRuns: 1_000 * effort })
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (given) => { tryDecode(Buffer.from(given)) }), { numRuns: 500 * effort })
  // A run of many is no reason for much memory.
  t.equal(tryDecode(Buffer.from(JSON.stringify(parts.with(framesAt, [[0, 1, 0, 1e12]])))), false)
})

t.test('a text that is more than one update does not get to a stream', async (t) => {
  const frame = (text: string) => encodeSnapshot({ ...plain, frames: [{ text, key: null, shared: false, writtenMsAgo: null }] })
  for (const text of ['data: a\n\n', 'event: x\ndata: a\ndata: \n\n']) t.equal(tryDecode(frame(text)), true, JSON.stringify(text))
  t.equal(tryDecode(encodeSnapshot({ ...plain, replies: [[1, 'data: a\n\ndata: b\n\n', 1]] })), false)
  for (const text of ['', '\n\n', 'data: a\n', 'data: a\r\n\n', 'data: a\n\ndata: b\n\n', 'event: x\n\n', 'event: x\nevent: y\ndata: a\n\n', 'id: 9\ndata: a\n\n', 'data: a\nretry: 1\n\n', 'data:a\n\n', 'data: \0\n\n']) t.equal(tryDecode(frame(text)), false, JSON.stringify(text))
})

t.test('sizes', async (t) => {
  const node = nodeMark('one')
  const known = Object.fromEntries(Array.from({ length: 6 }, (_, index) => [nodeMark(`web-${index}-4711-AbCdEfGhIjKl`), 120_000 + index]))
  const usual: SessionSnapshot = {
    ...plain,
    subscriptions: [],
    replies: [],
    state: JSON.stringify({ user: { id: 4711, name: 'Ada Lovelace' }, filters: { region: 'eu', status: ['open', 'late'] }, page: 3, cart: [{ sku: 'A-1', count: 2 }] }),
    groups: ['hosts', 'region:eu', 'user:4711'],
    log: { at: '1764414223000-0', before: '1764414222900-0', known },
    framesAfter: '1764414200000-0',
    frames: [
      ...Array.from({ length: 250 }, (_, index): SnapshotFrame => ({ place: { node, counter: 1_000 + index, index: 0 }, writtenMsAgo: 25_000 - index * 100 })),
      ...Array.from({ length: 3 }, (_, index): SnapshotFrame => ({ text: `event: sum\ndata: {"total":${index},"currency":"EUR"}\n\n`, key: 'sum\n', shared: false, writtenMsAgo: 10 }))
    ]
  }
  const bytes = encodeSnapshot(usual).length
  t.ok(bytes <= 1_229, `a usual session takes ${bytes} bytes`)
  t.comment(`a usual session takes ${bytes} bytes, one without updates ${encodeSnapshot({ ...usual, frames: [] }).length}`)
  const texts = usual.frames.map((frame): SnapshotFrame => 'text' in frame ? frame : { text: `event: sample\ndata: ${JSON.stringify({ host: 'web-12', cpu: 0.25, at: 1_764_414_223_000 })}\n\n`, key: null, shared: true, writtenMsAgo: frame.writtenMsAgo })
  t.ok(encodeSnapshot({ ...usual, frames: texts }).length > 10 * bytes, 'places take a small part of texts')
})

t.test('a backup, what a crash leaves to tell, and events that run again', (t) => {
  const pending = [
    { event: null, body: [{ event: 'say', data: { text: 'a\n' }, seq: 8 }, { event: 'say', data: {} }], isForm: false, bytes: 50, sender: 'tab-2', done: 1 },
    { event: 'say', body: { text: 'b' }, isForm: true, bytes: null, sender: null, done: 0 }
  ]
  for (const more of [{ isBackup: true }, { unsureFrom: 9 }, { pending }, { isBackup: true, unsureFrom: 1, pending }] as const) {
    t.strictSame(decodeSnapshot(encodeSnapshot({ ...plain, ...more })), { ...plain, ...more })
  }
  t.equal(encodeSnapshot({ ...plain, pending: [] }).length, encodeSnapshot(plain).length, 'a whole snapshot without events takes no more')
  for (const entry of pending) t.strictSame(decodeEntry(encodeEntry(entry)), entry)
  for (const bytes of ['', '{}', '[1]', '["say",{},0,-1,null,0]', '["say",{},0,1,null]']) t.throws(() => decodeEntry(Buffer.from(bytes)), { code: 'FST_ERR_TETHER_SNAPSHOT' }, bytes)
  t.end()
})

t.test('what is left of a whole snapshot when its session went on', (t) => {
  const whole: SessionSnapshot = { ...plain, unsureFrom: 4, frames: [{ text: 'data: 1\n\n', key: null, shared: false, writtenMsAgo: 5 }, { text: 'data: 2\n\n', key: null, shared: false, writtenMsAgo: null }] }
  t.match(asBackup(whole), { isBackup: true, first: 13, frames: [], replies: [[6, /./, 0], [7, /./, 0]], state: plain.state })
  t.end()
})
