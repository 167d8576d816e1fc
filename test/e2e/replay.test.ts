import t from 'tap'
import { counting, exactly } from './harness/claim.ts'
import { startLive, type LiveServer } from './harness/live.ts'
import { range, rows, sendRows } from './harness/rows.ts'
import { until } from './harness/until.ts'

type Connection = Awaited<ReturnType<LiveServer['connect']>>

async function cut ({ reader, session }: Connection): Promise<void> {
  reader.destroy()
  await until(() => !session.connected, 'the disconnect')
}

t.test('replayed bytes are those that were written, in order, and new frames queue behind', async (t) => {
  const server = await startLive(t)
  const first = await server.connect()
  const { session } = first
  sendRows(session, 1, 20)
  session.send('note', { text: 'ä\u2028 "quoted"\n' })
  session.send('row', 'two\nlines\r\nand\rmore')
  session.send('sample', { series: 'cpu', value: 1 })
  await until(() => first.reader.updates.length === 23, 'the updates')
  await cut(first)
  session.send('sample', { series: 'cpu', value: 2 })
  session.send('sample', { series: 'cpu', value: 3 })
  const second = await server.connect({ headers: exactly(session.id, 0) })
  session.send('sample', { series: 'cpu', value: 4 })
  session.send('row', 'behind')
  await until(() => second.reader.updates.at(-1)?.data === 'behind', 'the last')
  const replayed = second.reader.updates
  t.same(replayed.slice(0, 23).map(({ raw }) => raw), first.reader.updates.map(({ raw }) => raw), 'also the sample, which newer ones did not replace')
  t.same(replayed.slice(23).map(({ event, data }) => event === 'sample' ? JSON.parse(data!).value : data).slice(-2), [4, 'behind'])
  t.same(replayed.map(({ id }) => id), range(1, replayed.length).map((seq) => `${session.id}.${seq}`))
  t.equal(session.stats.conflated >= 1, true, 'those that were never written did replace each other')
})

t.test('replayed frames count against no limit', async (t) => {
  const server = await startLive(t, { live: { replayFrames: 1_000, queueFrames: 10 }, upgrade: { writeBuffer: 1 } })
  const first = await server.connect()
  const { session } = first
  for (const number of range(1, 200)) await session.send('row', String(number))
  await until(() => rows(first.reader).length === 200, 'two hundred rows')
  await cut(first)
  const again = await server.connect({ headers: counting(session.id, 0) })
  sendRows(session, 201, 205)
  await until(() => rows(again.reader).length === 205, 'all of them')
  t.same(rows(again.reader), range(1, 205))
  t.match(session.stats, { dropped: 0, overflowDisconnects: 0 })
})

t.test('replayFrames', async (t) => {
  for (const replayFrames of [0, 1, 4]) {
    const server = await startLive(t, { live: { replayFrames } })
    const first = await server.connect()
    const { session } = first
    sendRows(session, 1, 10)
    await until(() => rows(first.reader).length === 10, 'ten rows')
    t.equal(session.stats.heldFrames, replayFrames)
    await cut(first)
    const complete = await server.connect({ headers: exactly(session.id, 10 - replayFrames) })
    t.match(complete.reader.controls[0], { verdict: 'resumed', seq: 10 - replayFrames }, `${replayFrames} frames are kept`)
    await cut(complete)
    const older = await server.connect({ headers: exactly(session.id, 10 - replayFrames - 1) })
    t.match(older.reader.controls[0], { verdict: 'gap', seq: 10 - replayFrames }, 'and no more')
  }
})

t.test('replayBytes', async (t) => {
  const server = await startLive(t, { live: { replayBytes: 5_000 } })
  const first = await server.connect()
  const { session } = first
  const text = 'x'.repeat(970)
  for (let count = 0; count < 20; count++) session.send('row', text)
  await until(() => first.reader.updates.length === 20, 'twenty rows')
  t.ok(session.stats.heldBytes <= 5_000 && session.stats.heldBytes > 3_900, `${session.stats.heldBytes} bytes are kept`)
  t.equal(session.stats.heldFrames, 5)
  session.send('row', 'x'.repeat(20_000))
  await until(() => first.reader.updates.length === 21, 'a large one')
  t.equal(session.stats.heldFrames, 0, 'one that is larger than all there may be is not kept either')
  await cut(first)
  const again = await server.connect({ headers: exactly(session.id, 20) })
  t.match(again.reader.controls[0], { verdict: 'gap', seq: 21 }, 'a range that kills the reader is not replayed for ever')
})

t.test('replayAgeMs', async (t) => {
  const server = await startLive(t, { live: { replayAgeMs: 150 } })
  const first = await server.connect()
  const { session } = first
  sendRows(session, 1, 3)
  await until(() => rows(first.reader).length === 3, 'three rows')
  const writtenAt = performance.now()
  await cut(first)
  sendRows(session, 4, 5)
  await until(() => performance.now() - writtenAt > 200, 'them to grow old')
  const again = await server.connect({ headers: exactly(session.id, 0) })
  t.match(again.reader.controls[0], { verdict: 'gap', seq: 3 }, 'what is too old is gone')
  await until(() => rows(again.reader).length === 2, 'the rest')
  t.same(rows(again.reader), [4, 5], 'what was never written does not age')

  const eternal = await startLive(t, { live: { replayAgeMs: 0 } })
  const other = await eternal.connect()
  sendRows(other.session, 1, 3)
  await until(() => rows(other.reader).length === 3, 'three rows')
  await cut(other)
  const later = await eternal.connect({ headers: exactly(other.session.id, 0) })
  t.match(later.reader.controls[0], { verdict: 'resumed', seq: 0 }, '0: no limit of age')
})

t.test('what is written grows too old on a quiet stream as well', async (t) => {
  for (const heartbeatMs of [100, 0]) {
    const server = await startLive(t, { upgrade: { heartbeatMs }, live: { replayAgeMs: 1_000 } })
    const { reader, session } = await server.connect()
    sendRows(session, 1, 20)
    await until(() => rows(reader).length === 20, 'the rows')
    t.equal(session.stats.heldFrames, 20, `heartbeats every ${heartbeatMs} ms: kept at first`)
    await until(() => session.stats.heldFrames === 0, 'them to go')
    t.equal(server.app.tether.stats().bufferedBytes, 0)
    sendRows(session, 21, 21)
    await until(() => rows(reader).length === 21, 'the stream to go on')
    await until(() => session.stats.heldFrames === 0, 'that one to go too')
  }
})

t.test('a session without a stream goes on collecting and conflating, within its bounds', async (t) => {
  const server = await startLive(t, { live: { queueFrames: 10 } })
  const first = await server.connect()
  const { session } = first
  await cut(first)
  for (let value = 1; value <= 100; value++) {
    t.equal(await session.send('sample', { series: value % 2 === 0 ? 'even' : 'odd', value }), true, 'without a stream it never blocks')
  }
  t.match(session.stats, { queuedFrames: 2, conflated: 98, dropped: 0 })
  sendRows(session, 1, 30)
  t.match(session.stats, { queuedFrames: 10, dropped: 22 })
  const again = await server.connect({ headers: exactly(session.id, 0) })
  t.match(again.reader.controls[0], { verdict: 'gap', seq: 22 }, 'the oldest is dropped, and told of')
  await until(() => rows(again.reader).length === 10, 'the newest')
  t.same(rows(again.reader), range(21, 30))
  t.equal(again.reader.updates[0]!.id, `${session.id}.23`)
})
