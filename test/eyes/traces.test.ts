import { context, SpanStatusCode, trace, type Tracer } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor, type ReadableSpan } from '@opentelemetry/sdk-trace-node'
import { FastifyOtelInstrumentation } from '@fastify/otel'
import t, { type Test } from 'tap'
import { traces } from '../../plugin/entries/metrics.ts'
import { startLive, type LiveOptions, type LiveServer } from '../e2e/harness/live.ts'
import { post } from '../e2e/harness/request.ts'
import { until } from '../e2e/harness/until.ts'

const exporter = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
provider.register({ contextManager: new AsyncLocalStorageContextManager().enable() })
t.teardown(async () => {
  await provider.shutdown()
  context.disable()
  trace.disable()
})

/** A server whose POSTs have spans by @fastify/otel, and whose commands have spans by this library. */
async function startTraced (t: Test, live: NonNullable<LiveOptions['live']>, tracer: Tracer = provider.getTracer('test')): Promise<LiveServer> {
  exporter.reset()
  return startLive(t, {
    live,
    setup: async (app) => {
      const instrumentation = new FastifyOtelInstrumentation()
      instrumentation.setTracerProvider(provider)
      app.addHook('onRoute', (route) => {
        if (route.handler.name === 'openTetherSession') route.config = { ...route.config, otel: false } as never
      })
      await app.register(instrumentation.plugin() as never)
      traces(app, tracer)
    }
  })
}

function spans (name: string | RegExp): ReadableSpan[] {
  return exporter.getFinishedSpans().filter((span) => typeof name === 'string' ? span.name === name : name.test(span.name))
}

/** The names of a span's ancestors, the nearest first. */
function ancestors (span: ReadableSpan): string[] {
  const parent = exporter.getFinishedSpans().find((other) => other.spanContext().spanId === span.parentSpanContext?.spanId)
  return parent === undefined ? [] : [parent.name, ...ancestors(parent)]
}

t.test('a command\'s span is the child of the POST that caused it, also if it has to wait', async (t) => {
  let open!: () => void
  const gate = new Promise<void>((resolve) => { open = resolve })
  const tracer = provider.getTracer('application')
  const server = await startTraced(t, {
    on: {
      say: async (_session, { text }) => {
        await gate
        await tracer.startActiveSpan(`own ${text}`, async (span) => { span.end() })
      }
    }
  })
  const { session } = await server.connect()
  for (const text of ['a', 'b', 'c']) {
    const answer = await tracer.startActiveSpan(`page ${text}`, (span) => post(server, session.id, { event: 'say', data: { text } }).finally(() => { span.end() }))
    t.equal(answer.status, 202, 'answered before the handler ends')
  }
  open()
  await until(() => spans('tether say').length === 3, 'three spans')
  const parents = spans('tether say').map((span) => span.parentSpanContext?.spanId)
  t.equal(new Set(parents).size, 3, 'each has a parent of its own')
  for (const span of spans('tether say')) {
    t.ok(ancestors(span).some((name) => /POST|request|handler/i.test(name)), `child of the POST: ${ancestors(span).join(' < ')}`)
    t.match(span.attributes, { 'tether.session': `${session.id.slice(0, 6)}…`, 'tether.url': '/live', 'tether.command': 'say', 'tether.kind': 'event', 'tether.outcome': 'ok' })
    t.notOk(JSON.stringify(span.attributes).includes(session.id))
  }
  for (const text of ['a', 'b', 'c']) t.equal(ancestors(spans(`own ${text}`)[0]!)[0], 'tether say', 'what the handler starts is its child')
})

t.test('an error and a time-out are recorded', async (t) => {
  const server = await startTraced(t, {
    handlerTimeoutMs: 30,
    on: { say: async () => { throw new TypeError('no') }, count: () => new Promise(() => {}) }
  })
  const { session } = await server.connect()
  await post(server, session.id, [{ event: 'say', data: { text: '' } }, { event: 'count', data: { to: 1 } }])
  await until(() => spans(/^tether (say|count)$/).length === 2, 'both')
  t.match(spans('tether say')[0], { status: { code: SpanStatusCode.ERROR, message: 'no' }, events: [{ name: 'exception', attributes: { 'exception.type': 'TypeError', 'exception.message': 'no' } }] })
  t.match(spans('tether count')[0]!.attributes, { 'tether.outcome': 'timeout' })
})

t.test('streams have no span of a request, so that none lasts for hours; hooks and updates have theirs', async (t) => {
  const server = await startTraced(t, { onConnect: () => {}, onClose: () => {} })
  const { session } = await server.connect()
  await session.update(() => {})
  await post(server, session.id, { event: 'ping', data: {} })
  await session.close()
  await until(() => spans('tether onClose').length === 1, 'the last')
  t.equal(spans('tether onConnect').length, 1)
  t.equal(spans('tether update').length, 1)
  const requests = exporter.getFinishedSpans().filter(({ attributes }) => attributes['http.request.method'] !== undefined || attributes['http.method'] !== undefined)
  t.ok(requests.length > 0, 'those of POSTs are there')
  t.notOk(requests.some(({ attributes }) => (attributes['http.request.method'] ?? attributes['http.method']) === 'GET'), 'none is that of the stream')
})

t.test('a tracer that throws does not keep a command from running', async (t) => {
  const ran: string[] = []
  const broken = { startActiveSpan () { throw new Error('broken') } } as unknown as Tracer
  const server = await startTraced(t, { on: { say: (_session, { text }) => { ran.push(text) } } }, broken)
  const { session } = await server.connect()
  t.equal((await post(server, session.id, { event: 'say', data: { text: 'on' } })).status, 202)
  await until(() => ran.length === 1, 'the handler')
  t.same(server.errors(), [])
  t.throws(() => traces(server.app, {} as never), { code: 'FST_ERR_TETHER_ARGUMENT', message: /a tracer of @opentelemetry\/api/ })
})
