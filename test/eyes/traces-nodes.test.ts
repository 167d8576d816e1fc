// Traces that go from node to node. The nodes meet over sockets, so that no async context goes along by itself.
import { context, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor, type ReadableSpan } from '@opentelemetry/sdk-trace-node'
import t, { type Test } from 'tap'
import { traces } from '../../plugin/entries/metrics.ts'
import { local } from '../../plugin/entries/local.ts'
import { makeDirectory } from '../cluster/harness/local-under-test.ts'
import { startNode, type Node } from '../cluster/harness/nodes.ts'
import { keeping, saidAt, Tab } from '../cluster/harness/tabs.ts'
import type { LiveConfig } from '../e2e/harness/live.ts'
import { post } from '../e2e/harness/request.ts'
import { until } from '../e2e/harness/until.ts'

const exporter = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
provider.register({ contextManager: new AsyncLocalStorageContextManager().enable() })
const application = provider.getTracer('application')
t.teardown(async () => {
  await provider.shutdown()
  context.disable()
  propagation.disable()
  trace.disable()
})

/** Two nodes, each with a tracer of its own, whose requests have spans named by method and node. */
async function startTraced (t: Test, live: LiveConfig, traced = ['one', 'two']): Promise<[Node, Node]> {
  exporter.reset()
  const directory = makeDirectory({ after: (end) => { t.teardown(end) } })
  const nodes: Node[] = []
  for (const name of ['one', 'two']) {
    nodes.push(await startNode(t, local({ directory }), {
      live,
      setup: (app) => {
        app.addHook('onRequest', (request, reply, done) => {
          application.startActiveSpan(`${request.method} ${name}`, {}, ROOT_CONTEXT, (span) => {
            reply.raw.once('close', () => { span.end() })
            done()
          })
        })
        if (traced.includes(name)) traces(app, provider.getTracer(name))
      }
    }))
  }
  await until(() => nodes.every(({ cluster }) => cluster.nodes().length === 2 && cluster.status === 'ready'), 'both nodes')
  return nodes as [Node, Node]
}

function spans (name: string, node?: string): ReadableSpan[] {
  return exporter.getFinishedSpans().filter((span) => span.name === name && (node === undefined || span.instrumentationScope.name === node))
}

function isChild (child: ReadableSpan | undefined, parent: { spanId: string, traceId: string }): boolean {
  return child?.parentSpanContext?.spanId === parent.spanId && child.spanContext().traceId === parent.traceId
}

t.test('a broadcast has a span on each node, the child of the span in which it was called', async (t) => {
  const [one, two] = await startTraced(t, { on: { say: (_session, { text }) => { one.live.group('room').broadcast('note', { text }) } } })
  const there = await two.connect()
  two.live.group('room').add(there.session)
  const here = await one.connect()
  t.equal((await post(one, here.session.id, { event: 'say', data: { text: 'on' } })).status, 202)
  await until(() => there.reader.blocks.some(({ event }) => event === 'note'), 'the update')
  await until(() => spans('tether broadcast').length === 2, 'both deliveries')
  const [said] = spans('tether say', 'one')
  for (const name of ['one', 'two']) {
    const [delivery] = spans('tether broadcast', name)
    t.ok(isChild(delivery, said!.spanContext()), name)
    t.strictSame(delivery!.attributes, { 'tether.url': '/live', 'tether.node': one.cluster.node })
  }
  exporter.reset()
  two.live.broadcast('note', { text: 'without a span' })
  await until(() => there.reader.blocks.filter(({ event }) => event === 'note').length === 2, 'the second update')
  t.strictSame(spans('tether broadcast'), [], 'what belongs to no trace has no span')
})

t.test('a listener of the cluster runs in the trace of the emit', async (t) => {
  const [one, two] = await startTraced(t, {})
  const seen: Array<string | undefined> = []
  two.cluster.on('cache.drop', () => {
    seen.push(trace.getActiveSpan()?.spanContext().traceId)
    application.startActiveSpan('dropped', (span) => { span.end() })
    throw new Error('a listener that fails')
  })
  const sent = application.startActiveSpan('reload', {}, ROOT_CONTEXT, (span) => {
    one.cluster.emit('cache.drop', 1)
    span.end()
    return span.spanContext()
  })
  await until(() => spans('tether broadcast').length === 2, 'both deliveries')
  t.strictSame(seen, [sent.traceId])
  t.match(spans('tether broadcast', 'two')[0]!.attributes, { 'tether.event': 'cache.drop' })
  t.ok(isChild(spans('dropped')[0], spans('tether broadcast', 'two')[0]!.spanContext()))
})

t.test('a command and a hook that another node asks for belong to the trace of its request', async (t) => {
  const [one, two] = await startTraced(t, { ...keeping, persist: 'move', onFreeze: ({ state }) => state, onRestore: (_session, state) => state })
  const tab = await Tab.open(one)
  t.equal((await post(two, tab.session, { event: 'say', data: { text: 'from afar' } })).status, 202)
  t.strictSame(saidAt(one, tab.session), ['from afar'])
  await until(() => spans('POST two').length === 1 && spans('tether say', 'one').length === 1, 'the event')
  t.ok(isChild(spans('tether say', 'one')[0], spans('POST two')[0]!.spanContext()), 'the event')
  await tab.goTo(two)
  t.strictSame(saidAt(two, tab.session), ['from afar'])
  tab.reader.destroy()
  await until(() => spans('GET two').length === 1, 'the end of the stream')
  const moved = spans('GET two')[0]!.spanContext()
  t.equal(spans('tether onFreeze', 'one')[0]?.spanContext().traceId, moved.traceId, 'onFreeze at the old node')
  t.equal(spans('tether onRestore', 'two')[0]?.spanContext().traceId, moved.traceId, 'onRestore at the new one')
})

t.test('a node without a tracer delivers what has a trace, and sends none', async (t) => {
  const [one, two] = await startTraced(t, keeping, ['two'])
  const here = await one.connect()
  const there = await two.connect()
  application.startActiveSpan('page', {}, ROOT_CONTEXT, (span) => {
    one.live.broadcast('note', { text: 'by one' })
    span.end()
  })
  await until(() => there.reader.blocks.some(({ event }) => event === 'note'), 'the update of node one')
  t.strictSame(spans('tether broadcast'), [])
  application.startActiveSpan('page', {}, ROOT_CONTEXT, (span) => {
    two.live.broadcast('note', { text: 'by two' })
    span.end()
  })
  await until(() => here.reader.blocks.filter(({ event }) => event === 'note').length === 2, 'the update of node two')
  await until(() => spans('tether broadcast').length === 1, 'its delivery on the node with a tracer')
})

t.test('a propagator that throws, and a trace that is none, keep nothing from being delivered', async (t) => {
  const [one, two] = await startTraced(t, {})
  const there = await two.connect()
  const count = (): number => there.reader.blocks.filter(({ event }) => event === 'note').length
  let carried = 'no JSON'
  const propagator = {
    inject (_context: unknown, fields: unknown) { (fields as Record<string, string>).odd = carried },
    extract () { throw new Error('broken') },
    fields: () => []
  }
  propagation.disable()
  propagation.setGlobalPropagator(propagator as never)
  t.teardown(() => { propagation.disable() })
  one.live.broadcast('note', { text: 'a' })
  await until(() => count() === 1, 'extract throws')
  carried = 'x'.repeat(5_000)
  one.live.broadcast('note', { text: 'b' })
  await until(() => count() === 2, 'a trace that is too long')
  propagator.inject = () => { throw new Error('broken') }
  one.live.broadcast('note', { text: 'c' })
  await until(() => count() === 3, 'inject throws')
  t.strictSame([...one.errors(), ...two.errors()], [])
})
