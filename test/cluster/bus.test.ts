// Events and values of the application over nodes.
import { existsSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { EngineSource } from '../../plugin/cluster/engine.ts'
import { local } from '../../plugin/entries/local.ts'
import { memory } from '../../plugin/entries/memory.ts'
import { redis } from '../../plugin/entries/redis.ts'
import { until } from '../e2e/harness/until.ts'
import { makeDirectory } from './harness/local-under-test.ts'
import { startNode, startNodes, type Node } from './harness/nodes.ts'
import { clientKinds } from './harness/redis-clients.ts'
import { program, startRedis } from './harness/redis-process.ts'

/** Collects the events of a name, as each node sees them. */
function listen (nodes: readonly Node[], name: string): string[][] {
  return nodes.map(({ cluster }) => {
    const seen: string[] = []
    cluster.on(name, (data: unknown, { node, isSelf }) => { seen.push(`${JSON.stringify(data)} of ${node}${isSelf !== (node === cluster.node) ? ' WRONG' : ''}`) })
    return seen
  })
}

async function shareEvents (t: Test, engine: () => EngineSource): Promise<void> {
  const nodes = [await startNode(t, engine()), await startNode(t, engine())]
  await until(() => nodes.every(({ cluster }) => cluster.nodes().length === 2 && cluster.status === 'ready'), 'both nodes')
  const seen = listen(nodes, 'cache.drop')
  for (let round = 0; round < 10; round++) {
    for (const { cluster } of nodes) cluster.emit('cache.drop', { round })
    for (const { cluster } of nodes) cluster.value('online', 0).add(1)
    await new Promise(setImmediate)
  }
  for (const { cluster } of nodes) cluster.emit('cache.drop')
  nodes[0]!.cluster.emit('cache.other', 1)
  await until(() => seen.every(({ length }) => length === 22), 'all events')
  t.strictSame(seen[0], seen[1], 'one order')
  for (const { cluster } of nodes) await until(() => cluster.value('online', 0).get() === 20, 'the value')
  const late = await startNode(t, engine())
  await until(() => late.cluster.value('online', 0).get() === 20, 'the value, on a node that joins late')
  t.equal(await late.cluster.value('online', 0).set(7), true)
  t.equal(late.cluster.value('online', 0).get(), 7)
  await nodes[0]!.app.close()
  await until(() => nodes[1]!.cluster.value('online', 0).get() === 7, 'the change')
}

t.test('events and values over the hub in memory', (t) => {
  const hub = memory({ deadlineMs: 1_000 })
  return shareEvents(t, () => hub)
})

t.test('over the local hub', (t) => {
  const directory = makeDirectory({ after: (end) => { t.teardown(end) } })
  return shareEvents(t, () => local({ directory }))
})

t.test('over Redis', { skip: existsSync(program) ? false : `no ${program}` }, async (t) => {
  const server = await startRedis({ after: (end: () => unknown) => { t.teardown(end) } })
  const client = clientKinds[0]!.client(server.port)
  await shareEvents(t, () => redis(client))
})

t.test('events keep their order among the broadcasts of their node', async (t) => {
  const { nodes: [one, two] } = await startNodes(t, 2)
  const order: string[] = []
  two!.cluster.on('event', (data: string) => { order.push(data) })
  one!.cluster.emit('event', 'a')
  await one!.live.synced()
  one!.cluster.emit('event', 'b')
  await until(() => order.length === 2, 'both')
  t.strictSame(order, ['a', 'b'])
})

t.test('a listener that throws stops nobody, and does not fill the log', async (t) => {
  const { nodes: [one] } = await startNodes(t, 1)
  let calls = 0
  one!.cluster.on('event', () => { throw new Error('of a listener') })
  one!.cluster.on('event', () => Promise.reject(new Error('late')))
  const stop = one!.cluster.on('event', () => { calls++ })
  for (let round = 0; round < 50; round++) one!.cluster.emit('event')
  await until(() => calls === 50, 'all calls')
  await new Promise(setImmediate)
  const errors = one!.errors()
  t.equal(errors.length, 10)
  t.match(errors[0], { msg: 'a listener of the cluster failed', event: 'event', err: { message: 'of a listener' } })
  stop()
  one!.cluster.emit('event')
  await one!.live.synced()
  t.equal(calls, 50, 'it listens no more')
})

t.test('who listens learns that events were lost', async (t) => {
  const { hub, nodes: [one, two] } = await startNodes(t, 2, { cluster: { queueFrames: 2 } })
  const seen: unknown[] = []
  let losses = 0
  two!.cluster.on('event', (data) => { seen.push(data) }, { onLost: () => { losses++ } })
  hub.cut(one!.cluster.node)
  for (let number = 0; number < 5; number++) one!.cluster.emit('event', number)
  hub.mend(one!.cluster.node)
  await until(() => seen.includes(4), 'the last event')
  t.ok(losses > 0)
})

t.test('what is no event is refused', async (t) => {
  const { nodes: [one] } = await startNodes(t, 1)
  const argument = { code: 'FST_ERR_TETHER_ARGUMENT' }
  const cycle: Record<string, unknown> = {}
  cycle.self = cycle
  for (const data of [cycle, 5n, () => {}]) t.throws(() => one!.cluster.emit('event', data), argument)
  for (const name of ['', 'x'.repeat(129), 5]) {
    t.throws(() => one!.cluster.emit(name as string), argument)
    t.throws(() => one!.cluster.on(name as string, () => {}), argument)
  }
  t.throws(() => one!.cluster.on('event', 'text' as never), argument)
  t.throws(() => one!.cluster.on('event', () => {}, { onLoss: () => {} } as never), { ...argument, message: 'cluster.on() has no option "onLoss". Did you mean "onLost"?' })
  t.throws(() => one!.cluster.on('event', () => {}, null as never), { ...argument, message: 'the options of cluster.on() must be an object, got null' })
  t.equal(one!.cluster.stats().queuedFrames, 0)
})

t.test('values live while any node lives', async (t) => {
  const hub = memory({ deadlineMs: 300 })
  const one = await startNode(t, hub)
  const flags = one.cluster.value('flags', { dark: false })
  t.equal(await flags.set({ dark: true }), true)
  const two = await startNode(t, hub)
  t.strictSame(two.cluster.value('flags', { dark: false }).get(), { dark: true }, 'known at the start')
  await one.app.close()
  const three = await startNode(t, hub)
  t.strictSame(three.cluster.value('flags', { dark: false }).get(), { dark: true })
  await two.app.close()
  await three.app.close()
  t.equal(await two.cluster.value('flags', { dark: false }).set({ dark: false }), false, 'after the end')
  const four = await startNode(t, hub)
  t.strictSame(four.cluster.value('flags', { dark: false }).get(), { dark: false }, 'they begin anew')
})
