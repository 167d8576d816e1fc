import t from 'tap'
import { fill } from './harness/fill.ts'
import { startLive } from './harness/live.ts'
import { protocols } from './harness/server.ts'
import { until } from './harness/until.ts'

/** Lets time pass that the subject of a test measures itself. */
async function elapse (ms: number): Promise<void> {
  const end = performance.now() + ms
  await until(() => performance.now() >= end, `${ms} ms to pass`, ms + 15_000)
}

for (const protocol of protocols) {
  t.test(`${protocol}: an idle exact reader gets comments`, async (t) => {
    const heartbeatMs = 150
    const { connect } = await startLive(t, { protocol, upgrade: { heartbeatMs } })
    const startedAt = performance.now()
    const { reader } = await connect()
    await until(() => reader.blocks.length >= 3, 'two heartbeats')
    t.ok(performance.now() - startedAt >= 2 * heartbeatMs, 'not before their time')
    t.same(reader.blocks.slice(1, 3).map((block) => block.raw), [':', ':'])
    t.equal(reader.controls.length, 1, 'no control frame but hello')
  })

  t.test(`${protocol}: an idle counted reader gets the number of its last update`, async (t) => {
    const { connect } = await startLive(t, { protocol, upgrade: { heartbeatMs: 100 } })
    const { reader, session } = await connect({ headers: { 'x-tether-session': 'new' } })
    const beat = (seq: number) => `event: tether\ndata: {"type":"heartbeat","seq":${seq}}`
    await until(() => reader.blocks.length >= 2, 'a heartbeat')
    t.equal(reader.blocks[1]?.raw, beat(0))
    for (const text of ['a', 'b', 'c']) session.send('row', text)
    await until(() => reader.updates.length === 3 && reader.controls.at(-1)?.seq !== 0, 'a heartbeat after the updates')
    t.equal(reader.blocks.at(-1)?.raw, beat(3))
    t.ok(reader.blocks.every((block) => block.comment === undefined))
  })

  t.test(`${protocol}: no heartbeat while data flows`, async (t) => {
    const heartbeatMs = 100
    const { connect } = await startLive(t, { protocol, upgrade: { heartbeatMs } })
    const { reader, session } = await connect()
    const startedAt = performance.now()
    let lastAt = startedAt
    let pauses = 0
    let sent = 0
    await until(() => {
      const now = performance.now()
      // A machine that is too busy for this test itself must not fail it.
      if (now - lastAt > heartbeatMs / 2) pauses++
      lastAt = now
      session.send('row', 'data')
      sent++
      return now - startedAt > 5 * heartbeatMs
    }, 'five times the heartbeat')
    const beats = reader.blocks.filter((block) => block.comment !== undefined).length
    t.ok(beats <= pauses, `${beats} heartbeats, ${pauses} pauses`)
    await until(() => reader.updates.length === sent, 'the data')
    await until(() => reader.blocks.some((block) => block.comment !== undefined), 'a heartbeat once the data stopped')
  })

  t.test(`${protocol}: no heartbeat while the socket takes nothing`, async (t) => {
    const heartbeatMs = 60
    const { connect } = await startLive(t, { protocol, upgrade: { heartbeatMs, stallTimeoutMs: 0 } })
    const { reader, session } = await connect({ frozen: true })
    const { sent, blocked } = await fill(session)
    const { writes, bytesWritten } = session.stats
    await elapse(5 * heartbeatMs)
    t.equal(session.stats.writes, writes)
    t.equal(session.stats.bytesWritten, bytesWritten)
    reader.resume()
    t.equal(await blocked, true)
    await until(() => reader.updates.length === sent, 'everything that waited')
    // On a busy machine one may have been due before the first update.
    const first = reader.blocks.findIndex((block) => block.event === 'row')
    const caughtUp = reader.blocks.findLastIndex((block) => block.event === 'row')
    t.equal(reader.blocks.slice(first, caughtUp).filter((block) => block.comment !== undefined).length, 0, 'none among the updates that waited')
    await until(() => reader.blocks.at(-1)?.comment !== undefined, 'a heartbeat when all is read')
    t.same(reader.updates.map((update) => update.id), Array.from({ length: sent }, (_, index) => `${session.id}.${index + 1}`))
  })
}

t.test('heartbeatMs 0 means none, and keeps no timer', async (t) => {
  const { connect, app } = await startLive(t, { upgrade: { heartbeatMs: 0 } })
  const { reader } = await connect()
  await elapse(300)
  t.equal(reader.blocks.length, 1)
  t.equal(app.tether.stats().writes, 1)
})
