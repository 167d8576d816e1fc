// What docs/operations.md shows is run as it stands there. Its names are those of the code.
import { metrics as otelMetrics, trace } from '@opentelemetry/api'
import underPressure from '@fastify/under-pressure'
import { FastifyOtelInstrumentation } from '@fastify/otel'
import fastifyMetrics from 'fastify-metrics'
import Fastify, { type FastifyInstance } from 'fastify'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { otel, prometheus, traces } from '../../plugin/entries/metrics.ts'
import { figures, distributions, prometheusName } from '../../plugin/eyes/catalogue.ts'
import tether from '../../plugin/index.ts'
import { contract, silent } from '../e2e/harness/contract.ts'
import { openReader } from '../e2e/harness/reader.ts'
import { post } from '../e2e/harness/request.ts'
import type { Server } from '../e2e/harness/server.ts'
import { until } from '../e2e/harness/until.ts'
import { documented } from '../proxies/harness/documented.ts'
import { matching, samplesOf, sumOf } from './harness/exposition.ts'

const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')

/** Runs the lines of an example with what they import. */
async function runLines (mark: string, given: Record<string, unknown>): Promise<void> {
  const lines = documented(`js ${mark}`, 'operations').replace(/^import .*$/gm, '').replace('healthCheckInterval: 500', 'healthCheckInterval: 20')
  const AsyncFunction = (async () => {}).constructor as new (...parts: string[]) => (...values: unknown[]) => Promise<void>
  await new AsyncFunction(...Object.keys(given), lines)(...Object.values(given))
}

/** An application with the lines of examples before its sessions. */
async function start (t: Test, marks: string[], given: Record<string, unknown> = {}): Promise<{ app: FastifyInstance, server: Server, get: (path: string) => Promise<{ status: number, text: string }> }> {
  const app = Fastify({ forceCloseConnections: true }) as unknown as FastifyInstance
  await app.register(tether)
  for (const mark of marks) await runLines(mark, { app, ...given })
  app.tether.stateful('/live', { contract, on: silent })
  app.get('/plain', async () => 'plain')
  const origin = await app.listen({ host: '127.0.0.1', port: 0 })
  const readers = new Set<{ destroy: () => void }>()
  t.teardown(() => {
    for (const reader of readers) reader.destroy()
    return app.close()
  })
  const server = { app, protocol: 'http/1.1', port: Number(new URL(origin).port), origin, log: [], errors: () => [], readers } as Server
  return {
    app,
    server,
    get: async (path) => {
      const answer = await fetch(origin + path)
      return { status: answer.status, text: await answer.text() }
    }
  }
}

t.test('the example for prom-client', async (t) => {
  const { get } = await start(t, ['prometheus'], { Registry, prometheus })
  t.equal(sumOf(samplesOf((await get('/metrics')).text), 'tether_sessions_limit'), 10_000)
})

t.test('the example for fastify-metrics: POSTs and other routes are measured, streams are not', async (t) => {
  const { get, server } = await start(t, ['fastify-metrics'], { metrics: fastifyMetrics, prometheus })
  const reader = await openReader(server, '/live')
  await until(() => reader.controls.length > 0, 'hello')
  await post(server, reader.session, { event: 'ping', data: {} })
  await get('/plain')
  await server.app.tether.drain({ timeoutMs: 2_000 })
  await until(() => reader.ended, 'the end of the stream, by the server')
  const samples = samplesOf((await get('/metrics')).text)
  const measured = samples.filter(({ name }) => name === 'http_request_duration_seconds_count').map(({ labels }) => `${labels.method} ${labels.route}`)
  t.ok(measured.includes('POST /live') && measured.includes('GET /plain'), measured.join(', '))
  t.notOk(measured.includes('GET /live'), measured.join(', '))
  t.equal(sumOf(samples, 'tether_server_connection_duration_seconds_count', { url: '/live' }), 1)
})

t.test('the examples for OpenTelemetry', async (t) => {
  await start(t, ['otel'], { metrics: otelMetrics, otel })
  await start(t, ['traces'], { trace, traces })
  const { get } = await start(t, ['fastify-otel'], { FastifyOtelInstrumentation })
  t.equal((await get('/plain')).text, 'plain')
})

t.test('the example of a channel', async (t) => {
  const warnings: string[] = []
  const given = {
    subscribe: (name: string, listener: (message: any) => void) => {
      subscribe(name, listener as never)
      t.teardown(() => unsubscribe(name, listener as never))
      listener({ session: 'AbCdEf…', url: '/live', reason: 'overflow', ms: 7 })
      listener({ session: 'AbCdEf…', url: '/live', reason: 'client', ms: 7 })
    },
    console: { warn: (text: string) => { warnings.push(text) } }
  }
  await start(t, ['channels'], given)
  t.strictSame(warnings, ['/live: AbCdEf… was too slow after 7 ms'])
})

t.test('the probes, alone and with under-pressure', async (t) => {
  const probes = [...documented('yaml probes', 'operations').matchAll(/path: (\S+),/g)].map(([, path]) => path!)
  t.strictSame(probes, ['/alive', '/ready'])
  for (const marks of [['probes'], ['under-pressure', 'probes']]) {
    const { app, server, get } = await start(t, marks, { underPressure })
    for (const path of probes) t.equal((await get(path)).status, 200, path)
    t.match(JSON.parse((await get('/ready')).text), { ok: true, draining: false, maxSessions: 10_000, cluster: null })
    const reader = await openReader(server, '/live')
    await until(() => reader.controls.length > 0, 'hello')
    const drained = app.tether.drain({ timeoutMs: 2_000 })
    t.equal((await get('/ready')).status, 503)
    t.equal((await get('/alive')).status, 200)
    await drained
    if (marks.length > 1) await until(() => app.isUnderPressure(), 'under-pressure to notice')
    t.equal((await get('/ready')).status, 503)
    t.equal((await get('/alive')).status, 200)
    t.equal((await get('/plain')).status, 200, 'other routes go on')
    const late = await openReader(server, '/live')
    await until(() => late.ended, 'the answer of the library')
    t.equal(late.status, 200, 'an EventSource comes back')
    t.match(late.text, /retry: \d+/)
  }
})

/** Names of all figures, as Prometheus has them. */
const names = [...figures.map((figure) => prometheusName(figure, figure.kind === 'counter')), ...Object.values(distributions).map((distribution) => prometheusName(distribution))]

t.test('the tables have every figure, with its kind and its labels', async (t) => {
  const rows = [...page.matchAll(/^\| `(tether_\w+)` \| (gauge|counter|histogram)[^|]*\|([^|]*)\|/gm)]
  t.strictSame(rows.map(([, name]) => name!).sort(), [...names].sort())
  const register = new Registry()
  const app = Fastify() as unknown as FastifyInstance
  await app.register(tether, { cluster: (await import('../../plugin/entries/memory.ts')).memory() })
  prometheus(app, { register })
  app.tether.stateful('/live', { contract, on: silent })
  await app.ready()
  t.teardown(() => app.close())
  const text = await register.metrics()
  const samples = samplesOf(text)
  for (const [, name = '', kind, labels = ''] of rows) {
    t.match(text, new RegExp(`^# TYPE ${name} ${kind}$`, 'm'), `${name} is a ${kind}`)
    const listed = [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label!).sort()
    for (const sample of matching(samples, name)) t.strictSame(Object.keys(sample.labels).sort(), listed, name)
  }
})

t.test('the table of channels has every channel', async (t) => {
  const listed = [...page.matchAll(/`((?:tracing:)?tether:[\w.]+(?::\w+)?)`/g)].map(([, name]) => name!)
  for (const name of ['session.open', 'session.close', 'stream.open', 'stream.close']) t.ok(listed.includes(`tether:${name}`), name)
  for (const name of ['start', 'end', 'asyncStart', 'asyncEnd', 'error']) t.ok(listed.includes(`tracing:tether:command:${name}`), name)
})

const dashboard = JSON.parse(readFileSync(new URL('../../docs/grafana-dashboard.json', import.meta.url), 'utf8')) as { panels: Array<{ title: string, type: string, targets?: Array<{ expr: string }>, gridPos: { x: number, y: number, w: number, h: number } }>, templating: { list: Array<{ query: unknown }> } }
const alerts = readFileSync(new URL('../../docs/prometheus-alerts.yml', import.meta.url), 'utf8')

/** The figures that an expression names. */
function named (expression: string): string[] {
  return [...expression.matchAll(/\btether_\w+/g)].map(([name]) => name.replace(/(_bucket|_sum|_count)$/, ''))
}

t.test('the dashboard names figures that there are, and shows all of them', async (t) => {
  const expressions = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
  const shown = new Set(expressions.flatMap(named))
  t.strictSame([...shown].filter((name) => !names.includes(name)), [], 'no other figure')
  t.strictSame(names.filter((name) => !shown.has(name)), [], 'all of them')
  t.strictSame(named(JSON.stringify(dashboard.templating)).filter((name) => !names.includes(name)), [])
  for (const { title, gridPos: { x, w } } of dashboard.panels) t.ok(x + w <= 24, title)
})

t.test('the alerts name figures that there are, and the page says what to do for each', async (t) => {
  const found = [...alerts.matchAll(/alert: (\w+)\n\s+expr: (.*)/g)]
  t.ok(found.length >= 10)
  for (const [, alert, expression = ''] of found) {
    t.ok(named(expression).length > 0 && named(expression).every((name) => names.includes(name)), `${alert}: ${expression}`)
    t.match(page, `| \`${alert}\` |`)
  }
  for (const kind of ['tether_sessions_blocked', 'outcome="overflow"', 'outcome="dropped"', 'tether_cluster_lag_seconds', 'tether_sessions_limit']) t.match(alerts, kind)
})
