import t from 'tap'
import { fill } from './harness/fill.ts'
import { startLive } from './harness/live.ts'
import { openReader } from './harness/reader.ts'
import { protocols } from './harness/server.ts'
import { isSettled, until, within } from './harness/until.ts'

const large = 'x'.repeat(32_768)
const numberOf = (id: string | undefined) => Number(id?.split('.')[1])

for (const protocol of protocols) {
  t.test(`${protocol}: over its limits, 'disconnect' ends the stream and keeps the session`, async (t) => {
    for (const limits of [{ queueFrames: 32 }, { queueBytes: 300_000 }]) {
      const reasons: string[] = []
      const server = await startLive(t, {
        protocol,
        live: { ...limits, onDisconnect: (_session, reason) => { reasons.push(reason) } }
      })
      const { reader, session } = await server.connect({ frozen: true })
      const { sent, blocked } = await fill(session)
      let total = sent
      while (session.connected) {
        session.send('row', limits.queueFrames === undefined ? large : 'small')
        total++
        if (total > sent + 100) break
      }
      t.equal(await within(blocked, 'the blocked send'), true)
      await until(() => reasons.length > 0, 'onDisconnect')
      t.same(reasons, ['overflow'])
      t.match(session.stats, { overflowDisconnects: 1, stalled: false })
      t.match(server.app.tether.stats(), { sessions: 1, streams: 0, overflowDisconnects: 1 })
      const { queuedFrames, queuedBytes } = session.stats
      if (limits.queueFrames === undefined) t.ok(queuedBytes <= limits.queueBytes, `${queuedBytes} bytes wait`)
      else t.equal(queuedFrames, limits.queueFrames)
      reader.resume()
      await until(() => reader.closed, 'the end of the old stream')

      // Whoever comes back gets what is held, and knows what is lost.
      const again = await openReader(server, '/live', { headers: { 'last-event-id': reader.updates.at(-1)?.id ?? `${session.id}.0` } })
      await until(() => again.updates.at(-1)?.id === `${session.id}.${total}`, 'the last update')
      const [hello] = again.controls
      t.equal(hello?.verdict, 'gap', 'what the kernel swallowed is lost')
      t.same(again.updates.map((update) => numberOf(update.id)), Array.from({ length: total - hello?.seq }, (_, index) => hello?.seq + 1 + index))
      again.destroy()
    }
  })

  t.test(`${protocol}: 'dropOldest' keeps the stream and announces one gap, with the last number dropped`, async (t) => {
    for (const named of [undefined, 'new']) {
      const { connect, app } = await startLive(t, { protocol, live: { queueFrames: 32, onOverflow: 'dropOldest' } })
      const { reader, session } = await connect({ frozen: true, headers: { 'x-tether-session': named } })
      const { sent } = await fill(session)
      const waited = session.stats.queuedFrames
      const more = 100
      for (let number = 1; number <= more; number++) session.send('row', `${sent + number}`)
      const total = sent + more
      t.ok(session.connected)
      t.match(session.stats, { queuedFrames: 32, dropped: waited + more - 32, overflowDisconnects: 0 })

      reader.resume()
      await until(() => reader.updates.at(-1)?.data === `${total}`, 'the last update')
      const gaps = reader.blocks.filter((block) => block.event === 'tether' && block.data?.includes('"gap"'))
      const lost = total - 32
      t.equal(gaps.length, 1)
      t.equal(gaps[0]?.raw, `${named === undefined ? `id: ${session.id}.${lost}\n` : ''}event: tether\ndata: {"type":"gap","seq":${lost}}`)
      const gapAt = reader.blocks.indexOf(gaps[0]!)
      const before = reader.blocks.slice(0, gapAt).filter((block) => block.event === 'row')
      const after = reader.blocks.slice(gapAt + 1).filter((block) => block.event === 'row')
      t.equal(before.length, sent - waited, 'what was written before')
      t.same(after.map((block) => Number(block.data)), Array.from({ length: 32 }, (_, index) => lost + 1 + index))
      if (named === undefined) {
        t.same(before.map((block) => numberOf(block.id)), Array.from({ length: sent - waited }, (_, index) => index + 1))
        t.same(after.map((block) => numberOf(block.id)), after.map((block) => Number(block.data)))
      }

      session.send('note', { text: 'goes on' })
      await until(() => reader.updates.at(-1)?.event === 'note', 'the next update')
      if (named === undefined) t.equal(reader.updates.at(-1)?.id, `${session.id}.${total + 1}`)
      t.equal(app.tether.stats().dropped, waited + more - 32)
      reader.destroy()
    }
  })

  t.test(`${protocol}: what waits for a frozen reader is conflated`, async (t) => {
    const { connect } = await startLive(t, { protocol })
    const { reader, session } = await connect({ frozen: true })
    const { sent } = await fill(session)
    const { queuedFrames } = session.stats
    for (let value = 1; value <= 3_000; value++) session.send('sample', { series: `s${value % 3}`, value })
    t.match(session.stats, { queuedFrames: queuedFrames + 3, conflated: 2_997, dropped: 0 })
    reader.resume()
    await until(() => reader.updates.length === sent + 3, 'all updates')
    t.same(reader.updates.slice(sent).map((update) => JSON.parse(update.data!).value).sort(), [2_998, 2_999, 3_000])
  })

  t.test(`${protocol}: no member of a broadcast waits for another`, async (t) => {
    const { connect, live } = await startLive(t, { protocol, upgrade: { writeBuffer: 1 }, live: { queueFrames: 10_000, queueBytes: 1e9 } })
    const frozen = await connect({ frozen: true })
    const { blocked } = await fill(frozen.session)
    const { reader } = await connect()
    for (let number = 1; number <= 500; number++) live.broadcast('row', `${number}`)
    await until(() => reader.updates.length === 500, 'all updates of the reader that reads')
    t.notOk(await isSettled(blocked))
    t.equal(frozen.session.stats.queuedFrames, 501)
    frozen.reader.resume()
    await until(() => frozen.reader.updates.at(-1)?.data === '500', 'all updates of the other')
  })
}
