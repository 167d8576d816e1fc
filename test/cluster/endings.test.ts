// Sessions in the engine whose clients do not come back.
import { existsSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { EngineSource } from '../../plugin/cluster/engine.ts'
import { local } from '../../plugin/entries/local.ts'
import { memory } from '../../plugin/entries/memory.ts'
import { redis } from '../../plugin/entries/redis.ts'
import type { LiveConfig } from '../e2e/harness/live.ts'
import { post } from '../e2e/harness/request.ts'
import { until } from '../e2e/harness/until.ts'
import { makeDirectory } from './harness/local-under-test.ts'
import { startNode, startNodes, type Node } from './harness/nodes.ts'
import { clientKinds } from './harness/redis-clients.ts'
import { program, startRedis } from './harness/redis-process.ts'
import { keeping, stateOf, Tab } from './harness/tabs.ts'

const say = (text: string, seq: number) => ({ event: 'say', data: { text }, seq })
const cluster = { handoverMs: 100 }

/** Sessions that go into the engine with their streams, and the hooks that run at their ends: the reason, the ref and the state. */
function leaving (options: Partial<LiveConfig> = {}): { closed: string[], hooks: string[], live: LiveConfig } {
  const closed: string[] = []
  const hooks: string[] = []
  const note = (name: string) => () => { hooks.push(name) }
  return {
    closed,
    hooks,
    live: {
      ...keeping,
      persist: 'detach',
      reconnectMs: 300,
      onJoin: note('onJoin'),
      onLeave: note('onLeave'),
      onRestore: note('onRestore'),
      onFreeze: note('onFreeze'),
      onClose: (session, reason) => {
        hooks.push('onClose')
        closed.push(`${reason} ${session.ref} ${stateOf(session).said.join()}`)
      },
      ...options
    }
  }
}

async function abandon (node: Node, text: string): Promise<Tab> {
  const tab = await Tab.open(node)
  await post(node, tab.session, say(text, 1))
  tab.reader.destroy()
  return tab
}

async function endAll (t: Test, engine: () => EngineSource): Promise<void> {
  const { closed, live } = leaving()
  const nodes = [await startNode(t, engine(), { live, cluster }), await startNode(t, engine(), { live, cluster })]
  await until(() => nodes.every(({ cluster }) => cluster.nodes().length === 2 && cluster.status === 'ready'), 'both nodes')
  const refs: string[] = []
  for (let number = 0; number < 6; number++) {
    const node = nodes[number % 2]!
    const tab = await Tab.open(node)
    await post(node, tab.session, say(`${number}`, 1))
    refs.push(node.live.get(tab.session)!.ref)
    tab.reader.destroy()
  }
  await until(() => nodes.every(({ live }) => [...live.sessions].length === 0), 'the freeze')
  await until(() => closed.length === 6, 'all ends')
  t.strictSame(closed.toSorted(), refs.map((ref, number) => `reconnect-timeout ${ref} ${number}`).toSorted())
  // Nodes look every second: whatever runs twice has done so by then.
  const first = await abandon(nodes[0]!, 'last')
  await until(() => closed.length === 7, 'the last end')
  t.equal(closed.filter((line) => line.endsWith('last')).length, 1)
  t.equal(await nodes[1]!.live.find(first.session), null)
  await first.goTo(nodes[1]!)
  t.equal(first.verdicts.at(-1), 'expired')
}

t.test('onClose of a session in the engine runs on some node, once: the hub in memory', (t) => {
  const hub = memory({ deadlineMs: 1_000 })
  return endAll(t, () => hub)
})

t.test('over the local hub', (t) => {
  const directory = makeDirectory({ after: (end) => { t.teardown(end) } })
  return endAll(t, () => local({ directory }))
})

t.test('over Redis', { skip: existsSync(program) ? false : `no ${program}` }, async (t) => {
  const server = await startRedis({ after: (end: () => unknown) => { t.teardown(end) } })
  const client = clientKinds[0]!.client(server.port)
  await endAll(t, () => redis(client))
})

t.test('only the last hooks run, wherever the session ends', async (t) => {
  const { closed, hooks, live } = leaving()
  const { hub, nodes: [one, two] } = await startNodes(t, 2, { live, cluster: { ...cluster, leaseMs: 300 } })
  const tab = await Tab.open(one!)
  await post(one!, tab.session, say('a', 1))
  one!.live.group('g').add(one!.live.get(tab.session)!)
  await until(() => hooks.includes('onJoin'), 'onJoin')
  tab.reader.destroy()
  await until(() => one!.live.get(tab.session) === undefined, 'the freeze')
  // What the node writes behind the record is there after the record.
  one!.live.broadcast('note', { text: 'behind' })
  await one!.live.synced()
  // The node that had it is gone.
  hub.cut(one!.cluster.node)
  await until(() => closed.length === 1, 'the end')
  t.strictSame(hooks, ['onJoin', 'onFreeze', 'onLeave', 'onClose'])
  t.equal([...two!.live.sessions].length, 0)
})

t.test('a session ends when its time is over, as in memory, and for that reason', async (t) => {
  for (const [options, reason] of [[{ idleMs: 200 }, 'idle'], [{ maxLifetimeMs: 1_500 }, 'lifetime'], [{}, 'reconnect-timeout']] as const) {
    const { closed, live } = leaving({ reconnectMs: reason === 'reconnect-timeout' ? 200 : 600_000, ...options })
    const { nodes: [one] } = await startNodes(t, 1, { live, cluster })
    await abandon(one!, 'a')
    await until(() => closed.length === 1, reason)
    t.equal(closed[0]!.split(' ')[0], reason)
  }
})

t.test('when all nodes have gone, the next one runs onClose', async (t) => {
  const { closed, live } = leaving({ persist: 'move' })
  const hub = memory()
  const one = await startNode(t, hub, { live, cluster })
  const tab = await Tab.open(one)
  await post(one, tab.session, say('a', 1))
  await one.app.close()
  t.strictSame(closed, [], 'the session is in the engine')
  await startNode(t, hub, { live, cluster })
  await until(() => closed.length === 1, 'the end')
  t.match(closed[0], /^reconnect-timeout \S{22} a$/)
})

t.test('an engine that cannot tell what is due lets sessions expire', async (t) => {
  const { closed, live } = leaving()
  const hub = memory()
  const source: EngineSource = {
    engineFor: (application) => {
      const engine = hub.engineFor(application)
      return Object.assign(engine, { can: { ...engine.can, due: false }, due: undefined }) as ReturnType<EngineSource['engineFor']>
    }
  }
  const one = await startNode(t, source, { live, cluster })
  const tab = await abandon(one, 'a')
  await until(() => one.live.get(tab.session) === undefined, 'the freeze')
  while (await one.live.find(tab.session) !== null) await new Promise((resolve) => setTimeout(resolve, 10))
  t.strictSame(closed, [])
})

t.test('maxFrozen: beyond it sessions stay in memory; what others take out makes room', async (t) => {
  const { live } = leaving({ reconnectMs: 600_000 })
  const { nodes: [one, two] } = await startNodes(t, 2, { live, tether: { maxFrozen: 2 } })
  const tabs: Tab[] = []
  for (const text of ['a', 'b', 'c']) tabs.push(await abandon(one!, text))
  await until(() => [...one!.live.sessions].length === 1, 'two go')
  const [kept] = [...one!.live.sessions]
  const [gone] = tabs.filter(({ session }) => session !== kept!.id)
  await gone!.goTo(two!)
  t.equal(gone!.verdicts.at(-1), 'resumed')
  const stays = tabs.find(({ session }) => session === kept!.id)!
  await stays.goTo(one!)
  stays.reader.destroy()
  await until(() => [...one!.live.sessions].length === 0, 'there is room for it')
  await stays.goTo(two!)
  t.equal(stays.verdicts.at(-1), 'resumed')
})

t.test('maxFrozen: a drain and maxDetached close what does not fit', async (t) => {
  const { closed, live } = leaving({ persist: 'move', reconnectMs: 600_000 })
  const { nodes: [one, two] } = await startNodes(t, 2, { live, tether: { maxFrozen: 1, maxDetached: 1 } })
  const tabs: Tab[] = []
  for (const text of ['a', 'b', 'c']) tabs.push(await abandon(one!, text))
  await until(() => [...one!.live.sessions].length === 1 && closed.length === 1, 'one in the engine, one closed')
  t.match(closed[0], /^evicted /)
  await one!.app.tether.drain({ retryMs: 0, spreadMs: 0 })
  t.match(closed[1], /^draining /)
  const verdicts: string[] = []
  for (const tab of tabs) {
    await tab.goTo(two!)
    verdicts.push(tab.verdicts.at(-1)!)
  }
  t.strictSame(verdicts.toSorted(), ['expired', 'expired', 'resumed'])
})
