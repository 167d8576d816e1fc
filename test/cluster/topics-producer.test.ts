// One producer of a topic for all nodes, over real sockets.
import { existsSync } from 'node:fs'
import type { Server } from 'node:http'
import t, { type Test } from 'tap'
import type { EngineSource } from '../../plugin/cluster/engine.ts'
import { local } from '../../plugin/entries/local.ts'
import { memory } from '../../plugin/entries/memory.ts'
import { redis } from '../../plugin/entries/redis.ts'
import { connect } from '../../client/index.ts'
import type { contract, TopicReader, TopicsConfig, TopicServer } from '../e2e/harness/topics.ts'
import { turns, until } from '../e2e/harness/until.ts'
import { makeDirectory } from './harness/local-under-test.ts'
import { clientKinds } from './harness/redis-clients.ts'
import { effort } from '../harness/effort.ts'
import { randomFrom } from '../harness/random.ts'
import { program, startRedis } from './harness/redis-process.ts'
import { acquaint, goTo, startTopicNode, updatesOf, verdictOf } from './harness/topic-nodes.ts'

type Publish = (update: string, data: unknown) => number

/** The producers of all nodes of a test, in the order of their starts. */
class Producers {
  readonly runs: Array<{ readonly node: string, readonly publish: Publish, readonly signal: AbortSignal, endedAt: number }> = []

  config (node: string, lingerMs = 100): TopicsConfig {
    return {
      topics: {
        host: {
          run: 'cluster',
          lingerMs,
          start: (_params, { publish, signal }) => {
            const run = { node, publish: publish as Publish, signal, endedAt: 0 }
            signal.addEventListener('abort', () => { run.endedAt = performance.now() })
            this.runs.push(run)
            publish('cpu', { core: 0, v: this.runs.length })
          }
        }
      }
    }
  }

  get running () { return this.runs.filter(({ signal }) => !signal.aborted) }
  get names () { return this.runs.map(({ node }) => node) }
}

async function subscribed (node: TopicServer): Promise<TopicReader> {
  const tab = await node.open()
  await tab.subscribe('host', { id: 'a' })
  await tab.told('host?id=a')
  return tab
}

const leaseMs = 1_000

async function startAll (t: Test, engine: () => EngineSource, producers: Producers, count = 3, lingerMs?: number): Promise<TopicServer[]> {
  const nodes: TopicServer[] = []
  for (let index = 0; index < count; index++) nodes.push(await startTopicNode(t, engine(), producers.config(String(index), lingerMs), { leaseMs }))
  await acquaint(...nodes)
  return nodes
}

async function serveAll (t: Test, engine: () => EngineSource): Promise<void> {
  const producers = new Producers()
  const nodes = await startAll(t, engine, producers)
  const tabs = [await subscribed(nodes[1]!)]
  t.strictSame(producers.names, ['1'])
  t.strictSame(updatesOf(tabs[0]!), ['cpu {"core":0,"v":1}'], 'what start publishes at once comes before the outcome')
  producers.runs[0]!.publish('cpu', { core: 1, v: 5 })
  await nodes[1]!.live.synced()
  for (const node of nodes) tabs.push(await subscribed(node))
  for (const tab of tabs.slice(1)) t.strictSame(updatesOf(tab), ['cpu {"core":0,"v":1}', 'cpu {"core":1,"v":5}'], 'the last values first, on each node')
  for (let count = 0; count < 10; count++) {
    producers.runs[0]!.publish('log', `produced ${count}`)
    nodes[count % 3]!.live.topic('host', { id: 'a' }).publish('log', `published ${count}`)
    await turns(count % 3)
  }
  for (const tab of tabs) await until(() => updatesOf(tab).length === 22, 'all updates')
  for (const tab of tabs) t.strictSame(updatesOf(tab).slice(2), updatesOf(tabs[0]!).slice(2), 'in one order')
  t.strictSame(nodes.map(({ live }) => live.topic('host', { id: 'a' }).stats.running), [false, true, false])
  t.strictSame(producers.names, ['1'])

  // The node drains: another one takes over, and its pages follow.
  const [first] = tabs as [TopicReader]
  const drainedAt = performance.now()
  await nodes[1]!.app.tether.drain({ retryMs: 0, spreadMs: 0 })
  await until(() => producers.runs.length === 2, 'the next producer')
  t.ok(performance.now() - drainedAt < leaseMs + 5_000)
  t.ok(producers.runs[0]!.signal.aborted)
  t.not(producers.runs[1]!.node, '1')
  t.equal(producers.runs[0]!.publish('log', 'of the past'), 0)
  const there = await goTo(first, nodes[0]!)
  t.equal(verdictOf(there), 'resumed')
  await until(() => updatesOf(there).includes('cpu {"core":0,"v":2}'), 'its value')
  producers.runs[1]!.publish('log', 'last')
  for (const tab of [there, tabs[1]!, tabs[3]!]) await until(() => updatesOf(tab).at(-1) === 'log "last"', 'the last update')
  t.equal(updatesOf(there).filter((update) => update.startsWith('cpu')).length, 1, 'once')
  t.equal(producers.running.length, 1)
}

t.test('one node produces for all, and another takes over when it drains', async (t) => {
  const hub = memory({ deadlineMs: 300 })
  await serveAll(t, () => hub)
})

t.test('the same over the local hub', async (t) => {
  const directory = makeDirectory({ after: (end) => { t.teardown(end) } })
  await serveAll(t, () => local({ directory }))
})

t.test('the same over Redis', { skip: existsSync(program) ? false : `no ${program}` }, async (t) => {
  const server = await startRedis({ after: (end: () => unknown) => { t.teardown(end) } })
  const client = clientKinds[0]!.client(server.port)
  await serveAll(t, () => redis(client))
})

t.test('the producer lingers after the last subscriber of all nodes', async (t) => {
  const hub = memory({ deadlineMs: 300 })
  const producers = new Producers()
  const [one, two] = await startAll(t, () => hub, producers, 2, 300) as [TopicServer, TopicServer]
  const [here, there] = [await subscribed(one), await subscribed(two)]
  await here.unsubscribe('host', { id: 'a' })
  await until(() => one.live.stats.subscriptions === 0, 'none here')
  // Longer than it would linger: the other node still has a subscriber, and says so again and again.
  await until(() => there.reader.controls.length > 0 && performance.now() > 0, 'time')
  const since = performance.now()
  await until(() => performance.now() - since > 1.5 * leaseMs, 'more than a lease')
  t.strictSame([producers.names, producers.running.length], [['0'], 1])
  producers.runs[0]!.publish('log', 'goes on')
  await until(() => updatesOf(there).at(-1) === 'log "goes on"', 'the update')
  const leftAt = performance.now()
  await there.unsubscribe('host', { id: 'a' })
  await until(() => producers.running.length === 0, 'its end')
  const lingered = producers.runs[0]!.endedAt - leftAt
  t.ok(lingered >= 295 && lingered < 2_000, `${lingered} ms`)
  for (const { live } of [one, two]) await until(() => live.stats.topics === 0, 'nothing is kept')
  await subscribed(two)
  t.strictSame(producers.names, ['0', '1'], 'the next one starts where the subscriber is')
  const again = await subscribed(one)
  await again.unsubscribe('host', { id: 'a' })
  t.equal(producers.running.length, 1)
})

t.test('a page that is reloaded at another node does not start it again', async (t) => {
  const hub = memory({ deadlineMs: 300 })
  const producers = new Producers()
  const [one, two] = await startAll(t, () => hub, producers, 2, 2_000) as [TopicServer, TopicServer]
  const here = await subscribed(one)
  await here.unsubscribe('host', { id: 'a' })
  const there = await subscribed(two)
  t.strictSame(updatesOf(there), ['cpu {"core":0,"v":1}'])
  t.strictSame([producers.names, producers.running.length], [['0'], 1])
})

t.test('without its lease a node stops to produce, before another takes over; it follows that one when it is back', async (t) => {
  const hub = memory({ deadlineMs: 300 })
  const producers = new Producers()
  const [one, two] = await startAll(t, () => hub, producers, 2) as [TopicServer, TopicServer]
  const [here, there] = [await subscribed(one), await subscribed(two)]
  const cutAt = performance.now()
  hub.cut(one.app.tether.cluster!.node)
  const [old] = producers.runs
  // Waits in its node, for the time after the cut.
  old!.publish('log', 'stale')
  await until(() => producers.runs.length === 2, 'the next producer')
  const took = performance.now() - cutAt
  t.ok(took < 2 * leaseMs + 5_000, `took over after ${took} ms`)
  t.ok(old!.signal.aborted && old!.endedAt < performance.now(), 'the old one has ended')
  t.equal(old!.publish('log', 'later'), 0)
  await until(() => updatesOf(there).includes('cpu {"core":0,"v":2}'), 'the new value')
  hub.mend(one.app.tether.cluster!.node)
  await until(() => one.app.tether.cluster!.status === 'ready', 'the link')
  await until(() => updatesOf(here).includes('cpu {"core":0,"v":2}'), 'the new value at the old node')
  producers.runs[1]!.publish('log', 'new')
  for (const tab of [here, there]) await until(() => updatesOf(tab).at(-1) === 'log "new"', 'the update')
  for (const tab of [here, there]) t.notOk(updatesOf(tab).includes('log "stale"'), 'the log refuses what an earlier producer left in a queue')
  t.strictSame([producers.names, producers.running.length], [['0', '1'], 1])
})

t.test('a producer that fails runs again for the next first subscriber of all nodes', async (t) => {
  const hub = memory({ deadlineMs: 300 })
  let starts = 0
  const config: TopicsConfig = { topics: { host: { run: 'cluster', lingerMs: 50, start: () => { starts++; throw new Error('broken') } } } }
  const nodes = [await startTopicNode(t, hub, config, { leaseMs }), await startTopicNode(t, hub, config, { leaseMs })] as [TopicServer, TopicServer]
  await acquaint(...nodes)
  const tabs = [await subscribed(nodes[0]), await subscribed(nodes[1])]
  t.equal(starts, 1)
  nodes[1].live.topic('host', { id: 'a' }).publish('log', 'all the same')
  for (const tab of tabs) await until(() => updatesOf(tab).length === 1, 'the update')
  for (const tab of tabs) await tab.unsubscribe('host', { id: 'a' })
  for (const { live } of nodes) await until(() => live.stats.topics === 0, 'nothing is kept')
  await subscribed(nodes[1])
  await until(() => starts === 2, 'the second start')
})

t.test('a node that starts later has the values of a topic without a producer, however many', async (t) => {
  const hub = memory({ deadlineMs: 300 })
  const one = await startTopicNode(t, hub)
  const topic = one.live.topic('host', { id: 'a' })
  const big = 'x'.repeat(3_000)
  for (let core = 0; core < 200; core++) topic.publish('cpu', { core, v: core })
  for (let size = 0; size < 30; size++) one.live.topic('page', { size, dark: false }).publish('row', `${size} ${big}`)
  await one.live.synced()
  const two = await startTopicNode(t, hub)
  await acquaint(one, two)
  const tab = await subscribed(two)
  t.strictSame(updatesOf(tab), Array.from({ length: 200 }, (_, core) => `cpu {"core":${core},"v":${core}}`), 'in their order')
  topic.publish('cpu', { core: 7, v: 70 })
  await until(() => updatesOf(tab).length === 201, 'the next')
  const second = await subscribed(two)
  t.strictSame(updatesOf(second).at(-1), 'cpu {"core":7,"v":70}')
  t.equal(updatesOf(second).length, 200)
  await tab.subscribe('page', { size: 3 })
  await tab.told('page?dark=false&size=3')
  t.ok(updatesOf(tab).some((update) => update.startsWith('row "3 xxx')))
})

t.test('a node that missed a part of the log asks for the values again', async (t) => {
  const hub = memory({ logEntries: 4, deadlineMs: 300 })
  const [one, two] = [await startTopicNode(t, hub, {}, { leaseMs: 5_000 }), await startTopicNode(t, hub, {}, { leaseMs: 5_000 })]
  await acquaint(one, two)
  const tab = await subscribed(one)
  const topic = two.live.topic('host', { id: 'a' })
  topic.publish('cpu', { core: 0, v: 1 })
  await until(() => updatesOf(tab).length === 1, 'the value')
  hub.cut(one.app.tether.cluster!.node)
  topic.publish('cpu', { core: 0, v: 2 })
  for (let count = 0; count < 20; count++) {
    two.live.topic('host', { id: 'b' }).publish('log', String(count))
    await two.live.synced()
  }
  hub.mend(one.app.tether.cluster!.node)
  await until(() => updatesOf(tab).at(-1) === 'cpu {"core":0,"v":2}', 'the value that was lost')
  t.strictSame(updatesOf(await subscribed(one)), ['cpu {"core":0,"v":2}'])
})

t.test('a page of 60 widgets, behind a balancer that picks any node for each request', async (t) => {
  const hub = memory({ deadlineMs: 300 })
  let starts = 0
  const config: TopicsConfig = {
    topics: { host: { run: 'cluster', start: ({ id }, { publish }) => { starts++; publish('cpu', { core: 0, v: Number(id) }) } } }
  }
  const nodes = [await startTopicNode(t, hub, config), await startTopicNode(t, hub, config)]
  await acquaint(...nodes)
  const random = randomFrom(1)
  const sizes: number[] = []
  const client = connect<typeof contract>('http://anywhere/live', {
    retryMs: 10,
    retryMaxMs: 100,
    fetch: (url, init) => {
      const { origin } = nodes[Math.floor(random() * nodes.length)]!
      if (typeof init?.body === 'string') sizes.push([JSON.parse(init.body) as unknown].flat().length)
      return fetch(`${origin}${new URL(String(url)).pathname}`, init)
    }
  })
  const cut = () => { for (const { app } of nodes) (app.server as Server).closeAllConnections() }
  t.teardown(async () => {
    client.close()
    // A connection that never had a request would hold up the end of its server.
    const timer = setInterval(cut, 100)
    for (const { app } of nodes) await app.close()
    clearInterval(timer)
  })
  const got = Array.from({ length: 60 }, (): number[] => [])
  const widgets = got.map((values, index) => {
    const widget = client.subscribe('host', { id: String(index) })
    widget.on('cpu', ({ v }) => { values.push(v) })
    return widget
  })
  await Promise.all(widgets.map(({ ready }) => ready))
  t.strictSame(sizes, [60], 'one request')
  t.strictSame(got.map((values) => values.at(-1)), Array.from({ length: 60 }, (_, index) => index), 'the last values first')
  for (let round = 0; round < 6; round++) {
    // Its retry goes to any node.
    if (round % 2 === 0) cut()
    for (let index = 0; index < 60; index++) nodes[index % 2]!.live.topic('host', { id: String(index) }).publish('cpu', { core: 1, v: 1_000 * (round + 1) + index })
    for (const [index, values] of got.entries()) await until(() => values.at(-1) === 1_000 * (round + 1) + index, 'the update')
  }
  for (const [index, values] of got.entries()) t.strictSame(values, [index, ...Array.from({ length: 6 }, (_, round) => 1_000 * (round + 1) + index)], 'each once')
  t.ok(starts === 60 || starts === 120, `${starts} starts`)
})

t.test('whatever comes and goes, never do two nodes produce at a time, and one does while somebody is subscribed', async (t) => {
  const lease = 300
  for (let round = 0; round < effort; round++) {
    const random = randomFrom(round)
    const hub = memory({ deadlineMs: 100 })
    const runs: Array<{ readonly node: number, readonly signal: AbortSignal }> = []
    const faults: string[] = []
    const nodes: TopicServer[] = []
    for (let index = 0; index < 3; index++) {
      nodes.push(await startTopicNode(t, hub, {
        topics: {
          host: {
            run: 'cluster',
            lingerMs: 20,
            start: (_params, { signal, publish }) => {
              const other = runs.find((run) => !run.signal.aborted)
              if (other !== undefined) faults.push(`node ${index} starts beside node ${other.node}`)
              runs.push({ node: index, signal })
              publish('log', `begin ${runs.length}`)
            }
          }
        }
      }, { leaseMs: lease }))
    }
    await acquaint(...nodes)
    const tabs: Array<{ readonly tab: TopicReader, isSubscribed: boolean }> = []
    for (const node of [...nodes, ...nodes]) tabs.push({ tab: await node.open(), isSubscribed: false })
    for (let step = 0; step < 40; step++) {
      const one = tabs[Math.floor(random() * tabs.length)]!
      const node = nodes[Math.floor(random() * nodes.length)]!.app.tether.cluster!.node
      const chance = random()
      if (chance < 0.7) {
        const { status } = await (one.isSubscribed ? one.tab.unsubscribe('host', { id: 'a' }) : one.tab.subscribe('host', { id: 'a' }))
        // Without its lease, a node refuses events, and its pages send them again.
        if (status !== 503) one.isSubscribed = !one.isSubscribed
      } else if (chance < 0.8) hub.cut(node)
      else hub.mend(node)
      const until = performance.now() + random() * 80
      while (performance.now() < until) await turns(1)
    }
    for (const { app } of nodes) hub.mend(app.tether.cluster!.node)
    for (const { app } of nodes) await until(() => app.tether.cluster!.status === 'ready', 'ready')
    const isWanted = tabs.some(({ isSubscribed }) => isSubscribed)
    await until(() => runs.filter(({ signal }) => !signal.aborted).length === (isWanted ? 1 : 0), `${isWanted ? 'one' : 'none'} runs`)
    t.strictSame(faults, [])
    t.ok(runs.length > 2, `${runs.length} producers`)
    if (isWanted) {
      nodes[0]!.live.topic('host', { id: 'a' }).publish('log', 'last')
      for (const { tab, isSubscribed } of tabs) if (isSubscribed) await until(() => updatesOf(tab).at(-1) === 'log "last"', 'the last update')
    }
    for (const { app } of nodes) await app.close()
  }
})
