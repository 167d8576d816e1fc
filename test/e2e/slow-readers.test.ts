import t from 'tap'
import { fill } from './harness/fill.ts'
import { startLive } from './harness/live.ts'
import { openReader } from './harness/reader.ts'
import { post } from './harness/request.ts'
import { protocols } from './harness/server.ts'
import { patienceMs, until, within } from './harness/until.ts'

const idsFrom = (session: { id: string }, first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => `${session.id}.${first + index}`)

for (const protocol of protocols) {
  t.test(`${protocol}: 5,000 awaited sends in a loop arrive complete and in order`, async (t) => {
    let done = false
    const server = await startLive(t, {
      protocol,
      live: {
        on: {
          count: async (session, { to }) => {
            let granted = 0
            for (let number = 1; number <= to; number++) if (await session.send('row', `${number}`)) granted++
            done = granted === to
          }
        }
      }
    })
    const { reader, session } = await server.connect()
    await post(server, session.id, { event: 'count', data: { to: 5_000 } })
    await until(() => reader.updates.length >= 5_000, 'all updates')
    t.ok(done, 'every send was granted')
    t.same(reader.updates.map((update) => Number(update.data)), Array.from({ length: 5_000 }, (_, index) => index + 1))
    t.same(reader.updates.map((update) => update.id), idsFrom(session, 1, 5_000))
    t.same([session.stats.dropped, session.stats.overflowDisconnects], [0, 0])
  })

  t.test(`${protocol}: a reader that takes nothing for stallTimeoutMs loses its stream, not its session`, async (t) => {
    const stallTimeoutMs = 250
    const reasons: string[] = []
    const server = await startLive(t, {
      protocol,
      upgrade: { stallTimeoutMs, writeBuffer: 2 },
      live: { onDisconnect: (_session, reason) => { reasons.push(reason) }, replayBytes: 64 * 1024 * 1024, replayFrames: 10_000 }
    })
    const { app, live } = server
    const { reader, session } = await server.connect({ frozen: true })
    const { sent, blocked } = await fill(session)
    const startedAt = performance.now()
    t.equal(await within(blocked, 'the blocked send'), true, 'without a stream nothing blocks')
    t.ok(performance.now() - startedAt < 40 * stallTimeoutMs)
    await until(() => reasons.length > 0, 'onDisconnect')
    t.same(reasons, ['stalled'])
    t.notOk(session.connected)
    t.equal(session.stats.stallDisconnects, 1)
    t.equal(app.tether.stats().stallDisconnects, 1)
    t.equal(live.get(session.id), session)
    reader.resume()
    await until(() => reader.closed, 'the client to see the end')

    const lastSeen = reader.updates.at(-1)?.id ?? `${session.id}.0`
    const again = await openReader(server, '/live', { headers: { 'last-event-id': lastSeen } })
    await until(() => again.updates.at(-1)?.id === `${session.id}.${sent}`, 'what was missed')
    t.equal(again.controls[0]?.verdict, 'resumed')
    t.same([...reader.updates, ...again.updates].map((update) => update.id), idsFrom(session, 1, sent))
  })

  t.test(`${protocol}: a slow but steady reader lives`, async (t) => {
    const stallTimeoutMs = 3_000
    const { connect } = await startLive(t, { protocol, upgrade: { stallTimeoutMs, writeBuffer: 1 } })
    const { reader, session } = await connect({ pieceEveryMs: protocol === 'http/1.1' ? 8 : 20 })
    const startedAt = performance.now()
    // Blocked for longer than the deadline, all together, though never at a stretch.
    while (session.connected && session.stats.stalledMs < 1.2 * stallTimeoutMs) {
      await within(session.send('row', 'x'.repeat(60_000)), 'room')
      if (performance.now() - startedAt > patienceMs) break
    }
    t.ok(session.connected)
    t.ok(session.stats.stalledMs >= 1.2 * stallTimeoutMs, 'it was slower than the sender')
    t.match(session.stats, { stallDisconnects: 0, dropped: 0 })
    reader.destroy()
  })

  t.test(`${protocol}: a frame of any size goes through, in pieces of at most 64 KiB`, async (t) => {
    const { connect } = await startLive(t, { protocol })
    for (const named of [undefined, 'new']) {
      const { reader, session } = await connect({ headers: { 'x-tether-session': named } })
      const texts = [65_536, 100_000, 2_000_000].map((length) => 'aä漢🌍'.repeat(length / 10))
      for (const [index, text] of [...texts, 'after'].entries()) {
        t.equal(await within(session.send('row', text), 'the send'), true)
        await until(() => reader.updates.length > index, `update ${index + 1}`)
        t.ok(reader.updates[index]?.data === text, `update ${index + 1} is whole`)
      }
      t.ok(reader.chunks.every((chunk) => chunk.length <= 65_536))
      t.equal(session.stats.dropped, 0)
      reader.destroy()
    }
  })
}
