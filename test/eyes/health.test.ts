import t from 'tap'
import { memory } from '../../plugin/entries/memory.ts'
import { startLive } from '../e2e/harness/live.ts'
import { until } from '../e2e/harness/until.ts'

t.test('alone: ok until it drains', async (t) => {
  const { app, connect } = await startLive(t, { tether: { maxSessions: 2 } })
  t.strictSame(app.tether.health(), { ok: true, draining: false, sessions: 0, maxSessions: 2, cluster: null })
  await connect()
  await connect()
  t.strictSame(app.tether.health(), { ok: true, draining: false, sessions: 2, maxSessions: 2, cluster: null }, 'a full server is ok')
  const drained = app.tether.drain({ timeoutMs: 5_000 })
  t.match(app.tether.health(), { ok: false, draining: true }, 'at once')
  await drained
  t.strictSame(app.tether.health(), { ok: false, draining: true, sessions: 0, maxSessions: 2, cluster: null })
})

t.test('an application that closes is not ok', async (t) => {
  const { app } = await startLive(t, {})
  let during: unknown
  const closed = app.close()
  await until(() => { during = app.tether.health(); return !(during as { ok: boolean }).ok }, 'the close')
  t.match(during, { ok: false, draining: true })
  await closed
})

t.test('in a cluster: not ok while isolated, ok again after', async (t) => {
  let isCut = false
  const engine = memory({ deadlineMs: 100, weather: () => isCut ? 'lost' : 0 })
  const { app } = await startLive(t, { tether: { cluster: { engine, leaseMs: 400 } } })
  await until(() => app.tether.health().cluster === 'ready', 'ready')
  t.match(app.tether.health(), { ok: true, cluster: 'ready' })
  isCut = true
  const seen = new Set<string>()
  await until(() => {
    const { ok, cluster } = app.tether.health()
    seen.add(`${cluster} ${ok}`)
    return cluster === 'isolated'
  }, 'isolated')
  t.match(app.tether.health(), { ok: false, draining: false, cluster: 'isolated' })
  t.ok(!seen.has('degraded false') && !seen.has('isolated true'), [...seen].join())
  isCut = false
  await until(() => app.tether.health().ok, 'ok again')
  await until(() => app.tether.health().cluster === 'ready', 'ready again')
})
