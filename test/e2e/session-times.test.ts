import t from 'tap'
import { exactly } from './harness/claim.ts'
import { startLive, type LiveConfig } from './harness/live.ts'
import { openReader } from './harness/reader.ts'
import { refused } from './harness/refusal.ts'
import { post } from './harness/request.ts'
import { until } from './harness/until.ts'

const ping = { event: 'ping', data: {} }

/** A server that notes why and when its sessions closed. */
async function start (t: Parameters<typeof startLive>[0], live: LiveConfig) {
  const closes: Array<{ reason: string, at: number }> = []
  const server = await startLive(t, { live: { ...live, onClose: (session, reason) => { closes.push({ reason, at: performance.now() }) } } })
  return { ...server, closes }
}

t.test('reconnectMs: a session without a stream is kept so long', async (t) => {
  const server = await start(t, { reconnectMs: 1_000 })
  const { reader, session } = await server.connect()
  reader.destroy()
  await until(() => !session.connected, 'the disconnect')
  const detachedAt = performance.now()
  const again = await server.connect({ headers: exactly(session.id, 0) })
  t.equal(again.reader.controls[0]!.verdict, 'resumed', 'within it, the session resumes')
  await until(() => performance.now() - detachedAt > 1_200, 'the time to pass')
  t.equal(session.connected, true, 'and lives on, however long the stream does')
  t.same(server.closes, [])

  const left = performance.now()
  again.reader.destroy()
  await until(() => server.closes.length === 1, 'onClose')
  t.equal(server.closes[0]!.reason, 'reconnect-timeout')
  t.ok(server.closes[0]!.at - left >= 1_000, 'not before its time')
  t.equal(session.signal.reason, 'reconnect-timeout')
  refused(t, await post(server, session.id, ping), 404, 'FST_ERR_TETHER_SESSION_NOT_FOUND', 'a POST afterwards')
  const late = await server.connect({ headers: exactly(session.id, 0) })
  t.equal(late.reader.controls[0]!.verdict, 'expired')
})

t.test('reconnectMs 0: a session ends with its stream', async (t) => {
  const server = await start(t, { reconnectMs: 0 })
  const { reader, session } = await server.connect()
  t.equal((await post(server, session.id, ping)).status, 202)
  const second = await openReader(server, '/live', { headers: exactly(session.id, 0) })
  await until(() => second.controls.length === 1, 'hello')
  t.equal(second.controls[0]!.verdict, 'resumed', 'a stream may still take over from an open one')
  await until(() => reader.ended, 'the end of the first')
  t.equal(session.connected, true)
  t.same(server.closes, [])
  second.destroy()
  await until(() => server.closes.length === 1, 'onClose')
  t.equal(server.closes[0]!.reason, 'reconnect-timeout')
  await until(() => server.app.tether.stats().sessions === 0, 'the end of the session')
  const late = await server.connect({ headers: exactly(session.id, 0) })
  t.equal(late.reader.controls[0]!.verdict, 'expired')
})

t.test('idleMs: neither a stream nor an event for so long', async (t) => {
  const server = await start(t, { idleMs: 1_500, reconnectMs: 60_000 })
  const { reader, session } = await server.connect()
  const openedAt = performance.now()
  await until(() => performance.now() - openedAt > 1_600, 'the time to pass')
  t.same(server.closes, [], 'a session with a stream is not idle')
  reader.destroy()
  await until(() => !session.connected, 'the disconnect')
  const detachedAt = performance.now()
  let lastEventAt = 0
  for (let count = 0; count < 4; count++) {
    await until(() => performance.now() - detachedAt > count * 600, 'a while')
    lastEventAt = performance.now()
    t.equal((await post(server, session.id, ping)).status, 202)
  }
  await until(() => server.closes.length === 1, 'onClose')
  t.equal(server.closes[0]!.reason, 'idle')
  t.ok(server.closes[0]!.at - lastEventAt >= 1_500, 'counted from the last event')
})

t.test('maxLifetimeMs: whatever it does', async (t) => {
  const server = await start(t, { maxLifetimeMs: 1_000 })
  const startedAt = performance.now()
  const { reader, session } = await server.connect()
  await post(server, session.id, ping)
  await until(() => reader.ended, 'the end of the stream')
  t.ok(performance.now() - startedAt >= 1_000)
  t.same(reader.controls.at(-1), { type: 'goodbye', reason: 'lifetime', reconnect: true })
  await until(() => server.closes.length === 1, 'onClose')
  t.equal(server.closes[0]!.reason, 'lifetime')
  const again = await server.connect({ headers: exactly(session.id, 0) })
  t.equal(again.reader.controls[0]!.verdict, 'expired', 'its client gets a new one')
})

t.test('by default a session lives as long as its stream', async (t) => {
  const server = await start(t, {})
  const { session } = await server.connect()
  const startedAt = performance.now()
  await until(() => performance.now() - startedAt > 300, 'some time')
  t.equal(session.connected, true)
  t.same(server.closes, [])
})
