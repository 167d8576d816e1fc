import Fastify from 'fastify'
import { Counter, Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { prometheus } from '../../plugin/entries/metrics.ts'
import { memory } from '../../plugin/entries/memory.ts'
import tether, { defineContract, type TetherOptions } from '../../plugin/index.ts'
import { contract, silent } from '../e2e/harness/contract.ts'
import { startLive, type LiveOptions, type LiveServer } from '../e2e/harness/live.ts'
import { openReader } from '../e2e/harness/reader.ts'
import { turns, until } from '../e2e/harness/until.ts'
import { openSocket } from '../e2e/harness/web-socket.ts'
import { matching, samplesOf, sumOf, type Exposed } from './harness/exposition.ts'
import { makeTraffic } from './harness/workload.ts'

const failing = { on: { say: (_session: unknown, { text }: { text: string }) => { if (text === 'wrong') throw new Error('wrong') } } }

/** A server whose figures a registry has. */
async function startWatched (t: Test, options: LiveOptions = {}): Promise<{ server: LiveServer, register: Registry, scrape: () => Promise<Exposed[]>, stop: () => void }> {
  const register = new Registry()
  let stop!: () => void
  const server = await startLive(t, { ...options, setup: async (app) => { stop = prometheus(app, { register }); await options.setup?.(app) } })
  return { server, register, stop, scrape: async () => samplesOf(await register.metrics()) }
}

t.test('all figures agree with stats()', async (t) => {
  const { server, scrape } = await startWatched(t, { live: { ...failing, mode: 'both', queueFrames: 4, onOverflow: 'dropOldest' } })
  await makeTraffic(server)
  const socket = await openSocket(server, '/live', { session: 'new' })
  await until(() => server.app.tether.stats().protocols.websocket === 1, 'the socket')
  await turns()
  const samples = await scrape()
  const stats = server.app.tether.stats()
  const url = { url: '/live' }
  const updates = (outcome: string) => sumOf(samples, 'tether_updates_total', { ...url, outcome })
  t.ok(stats.dropped > 0 && stats.conflated > 0 && stats.framesWritten > 100, JSON.stringify(stats))
  t.strictSame({ written: updates('written'), conflated: updates('conflated'), dropped: updates('dropped') }, { written: stats.framesWritten, conflated: stats.conflated, dropped: stats.dropped })
  t.strictSame([...new Set(matching(samples, 'tether_updates_total').map(({ labels }) => labels.update))].sort(), ['note', 'row', 'sample'])
  t.equal(sumOf(samples, 'tether_updates_total', { update: 'row', outcome: 'written' }), 4)
  t.equal(sumOf(samples, 'tether_updates_total', { update: 'sample', outcome: 'conflated' }), stats.conflated)
  t.equal(sumOf(samples, 'tether_updates_total', { update: 'note', outcome: 'dropped' }), stats.dropped)
  t.strictSame(matching(samples, 'tether_server_active_connections').map(({ labels, value }) => [labels.url, labels.transport, value]).sort(),
    [['/live', 'http/1.1', 5], ['/live', 'websocket', 1]])
  for (const [name, value] of Object.entries({
    tether_sessions: stats.sessions,
    tether_sessions_limit: 10_000,
    tether_written_bytes_total: stats.bytesWritten,
    tether_events_total: 2,
    tether_handler_errors_total: 1,
    tether_stalls_total: stats.stalls,
    tether_disconnects_total: 0,
    tether_buffered_bytes: stats.bufferedBytes,
    tether_buffered_memory_bytes: stats.bufferedMemory,
    tether_buffered_memory_limit_bytes: 268_435_456,
    tether_session_refusals_total: 0,
    tether_websocket_faults_total: 0,
    tether_draining: 0,
    tether_commands_waiting: 0,
    tether_sessions_blocked: 0
  })) t.equal(sumOf(samples, name), value, name)
  t.equal(sumOf(samples, 'tether_sessions', { state: 'connected' }), 6)
  t.equal(sumOf(samples, 'tether_sessions', { state: 'detached' }), stats.detached)
  t.ok(Math.abs(sumOf(samples, 'tether_blocked_seconds_total') * 1_000 - stats.stalledMs) < 1)
  t.equal(sumOf(samples, 'tether_command_duration_seconds_count', { ...url, command: 'say', outcome: 'ok' }), 1)
  t.equal(sumOf(samples, 'tether_command_duration_seconds_count', { ...url, command: 'say', outcome: 'error' }), 1)
  t.equal(sumOf(samples, 'tether_command_wait_seconds_count', url), 2)
  t.equal(sumOf(samples, 'tether_server_connection_duration_seconds_count', { ...url, transport: 'http/1.1', outcome: 'client' }), 2)
  t.notOk(samples.some(({ name }) => name.startsWith('tether_cluster')), 'no figures of a cluster')
  socket.destroy()
})

t.test('durations go to their buckets, by the reason of the end', async (t) => {
  const { server, scrape } = await startWatched(t)
  const [first, second] = [await server.connect(), await server.connect()]
  first.reader.destroy()
  await until(() => !first.session.connected, 'the disconnect')
  await second.session.close('text of the application')
  await first.session.close()
  const samples = await scrape()
  const buckets = matching(samples, 'tether_server_connection_duration_seconds_bucket', { outcome: 'closed' })
  t.strictSame(buckets.map(({ labels }) => labels.le), ['0.01', '0.02', '0.05', '0.1', '0.2', '0.5', '1', '2', '5', '10', '30', '60', '120', '300', '600', '1800', '3600', '7200', '14400', '+Inf'])
  t.equal(buckets.at(-1)!.value, 1)
  t.strictSame(Object.keys(buckets[0]!.labels).sort(), ['le', 'outcome', 'transport', 'url'])
  t.equal(sumOf(samples, 'tether_session_duration_seconds_count', { outcome: 'closed' }), 1)
  t.equal(sumOf(samples, 'tether_session_duration_seconds_count', { outcome: 'other' }), 1, 'a reason of the application is no label')
  const seconds = sumOf(samples, 'tether_server_connection_duration_seconds_sum')
  t.ok(seconds > 0 && seconds < 30, `${seconds} seconds`)
})

t.test('a session that is blocked shows while it is', async (t) => {
  const { server, scrape } = await startWatched(t)
  const { session } = await server.connect({ frozen: true })
  await until(() => {
    session.send('note', { text: 'x'.repeat(100_000) })
    return session.stats.stalled
  }, 'the stall')
  session.update(() => {})
  const samples = await scrape()
  t.equal(sumOf(samples, 'tether_sessions_blocked', { url: '/live' }), 1)
  t.equal(sumOf(samples, 'tether_commands_waiting', { url: '/live' }), 1)
  t.equal(sumOf(samples, 'tether_stalls_total', { url: '/live' }), 1)
  const blocked = sumOf(samples, 'tether_blocked_seconds_total', { url: '/live' })
  await until(async () => sumOf(await scrape(), 'tether_blocked_seconds_total', { url: '/live' }) >= blocked + 0.01, 'the stall that goes on counts')
})

t.test('labels are bounded, and what shares one is added up', async (t) => {
  const register = new Registry()
  const names = Array.from({ length: 10 }, (_, index) => `n${index}`)
  const many = defineContract({ events: contract.events, updates: Object.fromEntries(names.map((name) => [name, { type: 'number' }])) as never })
  const server = await startLive(t, {
    setup: (app) => {
      prometheus(app, { register, maxUrls: 2, maxNames: 3 })
      for (const url of ['/a', '/b', '/c']) {
        app.tether.stateful(url, { contract: many, on: silent, onConnect: (session) => { for (const name of names) session.send(name as never, 1 as never) } })
      }
    }
  })
  const readers = await Promise.all(['/a', '/b', '/c'].map((url) => openReader(server, url)))
  await until(() => readers.every(({ updates }) => updates.length === 10), 'the updates')
  const samples = samplesOf(await register.metrics())
  t.strictSame([...new Set(matching(samples, 'tether_updates_total').map(({ labels }) => labels.url))].sort(), ['/a', '/b', 'other'].sort())
  const written = (url: string) => Object.fromEntries(matching(samples, 'tether_updates_total', { url, outcome: 'written' }).map(({ labels, value }) => [labels.update, value]))
  for (const url of ['/a', '/b']) t.strictSame(written(url), { n0: 1, n1: 1, n2: 1, other: 7 }, url)
  t.strictSame(written('other'), { n0: 1, n1: 1, n2: 1, other: 7, note: 0, sample: 0, row: 0 }, '/c and /live together')
  t.equal(sumOf(samples, 'tether_sessions', { url: 'other' }), 1, 'of /c and /live')
  t.equal(sumOf(samples, 'tether_server_active_connections'), 3)
})

t.test('beside other metrics, in both formats, and as JSON', async (t) => {
  const { register, stop } = await startWatched(t)
  const own = new Counter({ name: 'own', help: 'of the application', registers: [register] })
  own.inc()
  register.setDefaultLabels({ app: 'shop' })
  const samples = samplesOf(await register.metrics())
  t.equal(sumOf(samples, 'own', { app: 'shop' }), 1)
  t.equal(sumOf(samples, 'tether_sessions_limit', { app: 'shop' }), 10_000)
  t.ok((await register.getMetricsAsJSON()).some(({ name }) => name === 'tether_sessions'))
  register.resetMetrics()
  register.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never)
  const text = await register.metrics()
  t.match(text, /^# TYPE tether_events counter$/m)
  t.match(text, /^tether_events_total\{url="\/live",app="shop"\} 0$/m)
  stop()
  t.notMatch(await register.metrics(), 'tether_')
})

t.test('figures of a cluster', async (t) => {
  const engine = memory()
  const { server, scrape } = await startWatched(t, { tether: { cluster: engine } })
  await until(() => server.app.tether.cluster!.status === 'ready', 'the node')
  const { reader } = await server.connect()
  server.live.broadcast('note', { text: 'through the log' })
  await until(() => reader.updates.length === 1, 'the update')
  const samples = await scrape()
  t.equal(sumOf(samples, 'tether_cluster_nodes'), 1)
  t.strictSame(Object.fromEntries(matching(samples, 'tether_cluster_status').map(({ labels, value }) => [labels.state, value])), { ready: 1, degraded: 0, isolated: 0 })
  t.strictSame(Object.fromEntries(matching(samples, 'tether_cluster_updates_total').map(({ labels, value }) => [labels.outcome, value])), { published: 1, delivered: 1, dropped: 0 })
  const [lag] = matching(samples, 'tether_cluster_lag_seconds')
  t.ok(lag!.value >= 0 && lag!.value < 5)
  t.equal(sumOf(samples, 'tether_cluster_losses_total'), 0)
  t.equal(sumOf(samples, 'tether_updates_total', { update: 'note', outcome: 'written' }), 1)
})

t.test('what cannot work is refused, by name', async (t) => {
  const register = new Registry()
  const app = Fastify()
  t.throws(() => prometheus(app, { register }), { code: 'FST_ERR_TETHER_ARGUMENT', message: /await app\.register\(tether\)/ })
  await app.register(tether, {} satisfies TetherOptions)
  t.teardown(() => app.close())
  for (const options of [undefined, {}, { register: null }, { register: {} }, { register: { registerMetric () {} } }]) t.throws(() => prometheus(app, options as never), { code: 'FST_ERR_TETHER_ARGUMENT', message: /registry of prom-client/ })
  t.throws(() => prometheus(app, { register, maxUrls: 0 }), { code: 'FST_ERR_TETHER_OPTION', message: /"maxUrls".*at least 1.*got 0/ })
  t.throws(() => prometheus(app, { register, maxName: 1 } as never), { code: 'FST_ERR_TETHER_OPTION', message: /no option "maxName".*maxNames/ })
  const stop = prometheus(app, { register })
  t.throws(() => prometheus(app, { register }), { code: 'FST_ERR_TETHER_ARGUMENT', message: /a registry of its own/ })
  stop()
  prometheus(app, { register })
  await app.register(async (child) => { t.doesNotThrow(() => prometheus(child, { register: new Registry() }), 'an encapsulated instance has the same figures') })
})
