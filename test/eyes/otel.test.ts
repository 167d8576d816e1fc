import { AggregationTemporality, InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { Registry } from 'prom-client'
import t from 'tap'
import { otel, prometheus } from '../../plugin/entries/metrics.ts'
import { startLive } from '../e2e/harness/live.ts'
import { until } from '../e2e/harness/until.ts'
import { samplesOf } from './harness/exposition.ts'
import { makeTraffic } from './harness/workload.ts'

t.test('a meter has the same figures as a registry', async (t) => {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const provider = new MeterProvider({ readers: [reader] })
  t.teardown(() => provider.shutdown())
  const register = new Registry()
  let stop!: () => void
  const server = await startLive(t, {
    live: { queueFrames: 4, onOverflow: 'dropOldest', on: { say: (_session, { text }) => { if (text === 'wrong') throw new Error('wrong') } } },
    setup: (app) => {
      stop = otel(app, provider.getMeter('test'))
      prometheus(app, { register })
    }
  })
  await makeTraffic(server)
  const { session } = await server.connect()
  await session.close()
  await until(() => server.app.tether.stats().streams === 5, 'the end of its stream')
  await provider.forceFlush()
  const exported = exporter.getMetrics().at(-1)!.scopeMetrics.flatMap(({ metrics }) => metrics)
  const samples = samplesOf(await register.metrics()).filter(({ name }) => !/_bucket$|_sum$/.test(name))
  t.ok(exported.length >= 20, `${exported.length} instruments`)

  // As exporters for Prometheus name them.
  const suffixes: Record<string, string> = { s: '_seconds', By: '_bytes' }
  const found = exported.flatMap(({ descriptor: { name, unit }, dataPoints, ...rest }) => {
    const isCounter = (rest as { isMonotonic?: boolean }).isMonotonic === true
    const base = `${name.replaceAll('.', '_')}${suffixes[unit] ?? ''}`
    return dataPoints.map(({ attributes, value }) => typeof value === 'number'
      ? { name: isCounter ? `${base}_total` : base, labels: attributes as Record<string, string>, value }
      : { name: `${base}_count`, labels: attributes as Record<string, string>, value: (value as { count: number }).count })
  })
  const listed = (of: typeof found) => of.filter(({ name }) => name !== 'tether_blocked_seconds_total').map(({ name, labels, value }) => `${name} ${JSON.stringify(Object.entries(labels).sort())} ${value}`).sort()
  t.strictSame(listed(found), listed(samples))
  t.ok(found.some(({ name }) => name === 'tether_blocked_seconds_total'))

  const duration = exported.find(({ descriptor: { name } }) => name === 'tether.server.connection.duration')!
  const { buckets } = duration.dataPoints[0]!.value as { buckets: { boundaries: number[] } }
  t.strictSame([buckets.boundaries[0], buckets.boundaries.includes(300), buckets.boundaries.at(-1)], [0.01, true, 14_400])

  stop()
  await server.connect()
  await provider.forceFlush()
  const connected = (of: typeof exported) => of.find(({ descriptor: { name } }) => name === 'tether.sessions')?.dataPoints.find(({ attributes }) => attributes.state === 'connected')?.value
  const after = exporter.getMetrics().at(-1)!.scopeMetrics.flatMap(({ metrics }) => metrics)
  t.equal(connected(exported), 5)
  t.equal(server.live.stats.connected, 6)
  t.equal(connected(after) ?? 5, 5, 'nothing is observed any more')
})

t.test('what is no meter is refused', async (t) => {
  const server = await startLive(t, {})
  for (const meter of [undefined, null, {}, { createHistogram () {} }]) t.throws(() => otel(server.app, meter as never), { code: 'FST_ERR_TETHER_ARGUMENT', message: /a meter of @opentelemetry\/api/ })
  t.throws(() => otel(server.app, {} as never, { maxNames: -1 }), { code: 'FST_ERR_TETHER_OPTION' })
})
