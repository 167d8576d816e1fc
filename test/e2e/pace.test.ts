import t from 'tap'
import { startLive } from './harness/live.ts'
import { protocols } from './harness/server.ts'
import { patienceMs, until } from './harness/until.ts'

const minIntervalMs = 100

for (const protocol of protocols) {
  t.test(`${protocol}: at most one write of updates in each interval, conflated meanwhile`, async (t) => {
    for (const named of [undefined, 'new']) {
      const { connect, live } = await startLive(t, { protocol, live: { minIntervalMs } })
      const { reader, session } = await connect({ headers: { 'x-tether-session': named } })
      const { writes, framesWritten } = session.stats
      // More series than leave at once where there is no pace, changed all the time, by sends and by broadcasts.
      const series = 400
      const startedAt = performance.now()
      let round = 0
      const pictures = () => (session.stats.framesWritten - framesWritten) / series
      while (performance.now() - startedAt < 5 * minIntervalMs || pictures() < 2) {
        if (performance.now() - startedAt > patienceMs) throw new Error('nothing is written')
        round++
        for (let number = 0; number < series; number++) {
          const sample = { series: `s${number}`, value: round }
          if (number % 2 === 0) session.send('sample', sample)
          else live.broadcast('sample', sample)
        }
        await new Promise(setImmediate)
      }
      const elapsedMs = performance.now() - startedAt
      const most = Math.floor(elapsedMs / minIntervalMs) + 1
      const stats = session.stats
      t.ok(pictures() <= most, `${pictures()} times all series in ${Math.round(elapsedMs)} ms`)
      // HTTP/2 takes smaller pieces.
      if (protocol === 'http/1.1') t.ok(stats.writes - writes <= most, `${stats.writes - writes} writes`)
      await until(() => session.stats.queuedFrames === 0, 'the last write')
      t.equal(session.stats.framesWritten + session.stats.conflated, round * series, 'each was written, or gave way to a newer one')
      await until(() => reader.bytes >= session.stats.bytesWritten, 'all bytes')
      const newest = new Map(reader.updates.map(({ data }) => JSON.parse(data!)).map(({ series, value }) => [series, value]))
      t.same([...newest.values()], Array.from({ length: series }, () => round), 'the newest of each')
    }
  })

  t.test(`${protocol}: a flush goes on until all is written that waited, however many writes it takes`, async (t) => {
    for (const named of [undefined, 'new']) {
      const { connect } = await startLive(t, { protocol, live: { minIntervalMs: 60_000 } })
      const { reader, session } = await connect({ headers: { 'x-tether-session': named } })
      for (let number = 1; number <= 40; number++) session.send('row', `${number}`.padEnd(8_192, '.'))
      await until(() => reader.updates.length === 40, 'all of the first flush')
      session.send('row', 'next')
      await until(() => session.stats.queuedFrames === 1, 'the next to wait')
      t.match(session.stats, { framesWritten: 40, queuedFrames: 1 })
    }
  })

  t.test(`${protocol}: what must arrive is written before its time rather than lost`, async (t) => {
    const { connect } = await startLive(t, { protocol, live: { minIntervalMs: 60_000, queueFrames: 50 } })
    const { reader, session } = await connect()
    session.send('row', 'first')
    await until(() => reader.updates.length === 1, 'the first, which has nothing to wait for')
    for (let number = 1; number <= 200; number++) session.send('row', `${number}`)
    await until(() => reader.updates.length >= 151, 'all that do not fit into the queue')
    t.match(session.stats, { dropped: 0, overflowDisconnects: 0 })
    t.ok(session.connected)
    const { queuedFrames } = session.stats
    t.same(reader.updates.slice(1).map(({ data }) => Number(data)), Array.from({ length: 200 - queuedFrames }, (_, index) => index + 1))
    // An end does not wait either.
    session.close()
    await until(() => reader.ended, 'the end')
    t.equal(reader.updates.at(-1)?.data, '200')
  })

  t.test(`${protocol}: hello, heartbeats and goodbye keep no pace`, async (t) => {
    const { connect } = await startLive(t, { protocol, upgrade: { heartbeatMs: 30 }, live: { minIntervalMs: 60_000 } })
    const { reader, session } = await connect({ headers: { 'x-tether-session': 'new' } })
    session.send('row', '1')
    await until(() => reader.updates.length === 1, 'the first')
    await until(() => reader.controls.filter(({ type }) => type === 'heartbeat').length >= 2, 'heartbeats')
    session.send('row', '2')
    const beats = reader.controls.length
    await until(() => reader.controls.length > beats + 1, 'heartbeats while an update waits for its time')
    session.send('row', '3')
    session.close()
    await until(() => reader.ended, 'the end')
    t.same(reader.updates.map(({ data }) => data), ['1', '2', '3'])
    t.equal(reader.controls.at(-1)?.type, 'goodbye')
  })
}
