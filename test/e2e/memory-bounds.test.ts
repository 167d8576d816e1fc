import t from 'tap'
import { fill } from './harness/fill.ts'
import { startLive } from './harness/live.ts'
import { protocols } from './harness/server.ts'
import { turns, until } from './harness/until.ts'

const large = 'x'.repeat(32_768)

for (const protocol of protocols) {
  t.test(`${protocol}: a flood that nobody waits for stays bounded in bytes`, async (t) => {
    const queueBytes = 400_000
    const replayBytes = 100_000
    for (const [named, onOverflow] of [[undefined, 'disconnect'], ['new', 'disconnect'], [undefined, 'dropOldest'], ['new', 'dropOldest']] as const) {
      const { connect, app } = await startLive(t, { protocol, live: { queueBytes, replayBytes, queueFrames: 1_000_000, onOverflow } })
      const { session } = await connect({ frozen: true, headers: { 'x-tether-session': named } })
      await fill(session)
      let peak = 0
      for (let count = 0; count < 400; count++) {
        session.send('row', large)
        peak = Math.max(peak, app.tether.stats().bufferedBytes)
        // The stream's own timers and flushes get their turn as well.
        if (count % 100 === 0) await turns(3)
      }
      t.ok(peak <= queueBytes + replayBytes + 2 * large.length, `${named ?? 'exact'}, ${onOverflow}: ${peak} bytes at most`)
      t.equal(app.tether.stats().bufferedBytes, session.stats.heldBytes)
      t.equal(session.connected, onOverflow === 'dropOldest')
    }
  })

  t.test(`${protocol}: maxBufferedBytes holds over many frozen sessions`, async (t) => {
    const maxBufferedBytes = 2_000_000
    // HTTP/2's window freezes a stream at 64 KiB; a socket of its own takes megabytes.
    const count = protocol === 'http/1.1' ? 6 : 30
    const { connect, app, live } = await startLive(t, { protocol, tether: { maxBufferedBytes }, upgrade: { writeBuffer: 1 }, live: { replayBytes: 0 } })
    const sessions = await Promise.all(Array.from({ length: count }, async () => {
      const { session } = await connect({ frozen: true })
      await fill(session)
      return session
    }))
    let peak = 0
    for (let round = 0; round < 20; round++) {
      for (const session of sessions) {
        session.send('row', large)
        peak = Math.max(peak, app.tether.stats().bufferedBytes)
      }
    }
    t.ok(peak <= maxBufferedBytes + large.length + 100, `${peak} bytes at most`)
    t.ok(peak > maxBufferedBytes * 0.8, 'the limit was reached')
    t.equal(app.tether.stats().sessions, count, 'all sessions are still there')
    t.ok(app.tether.stats().overflowDisconnects > 0)

    // An idle one that reads is not made to pay for them.
    const { reader, session } = await connect()
    for (let number = 0; number < 10; number++) session.send('row', `${number}`)
    await until(() => reader.updates.length === 10, 'the updates of a reader that reads')
    t.equal(live.stats.sessions, count + 1)
  })

  t.test(`${protocol}: bytes that many sessions share count once, and go when the last of them is gone`, async (t) => {
    const { connect, app, live } = await startLive(t, { protocol, live: { reconnectMs: 0 } })
    const readers = await Promise.all(Array.from({ length: 10 }, async () => (await connect()).reader))
    live.broadcast('row', large)
    await until(() => readers.every((reader) => reader.updates.length === 1), 'the broadcast')
    const { bufferedBytes } = app.tether.stats()
    t.ok(bufferedBytes >= large.length && bufferedBytes < large.length + 100, `${bufferedBytes} bytes`)
    for (const reader of readers) reader.destroy()
    await until(() => app.tether.stats().sessions === 0, 'the end of all sessions')
    t.equal(app.tether.stats().bufferedBytes, 0)
  })
}
