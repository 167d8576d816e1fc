import Fastify from 'fastify'
import t from 'tap'
import type { Engine, EngineEvents, EngineSource } from '../../plugin/cluster/engine.ts'
import { memory } from '../../plugin/entries/memory.ts'
import tether, { type TetherOptions } from '../../plugin/index.ts'
import { until, within } from '../e2e/harness/until.ts'
import { seen, startNode, startNodes } from './harness/nodes.ts'

async function registerWith (cluster: unknown): Promise<void> {
  const app = Fastify()
  await app.register(tether, { cluster } as TetherOptions)
}

t.test('a value that is not allowed fails at registration, by name', async (t) => {
  const engine = memory()
  const faults: Array<[given: unknown, message: RegExp]> = [
    [null, /option "cluster" of app\.register\(tether\) must be an engine.*got null/],
    ['redis://localhost', /option "cluster".*got 'redis:\/\/localhost'/],
    [memory, /option "cluster".*got \[Function: memory\]/],
    [new Map(), /option "cluster".*got Map/],
    [[engine], /option "cluster".*got \[/],
    [{}, /"cluster" of app\.register\(tether\) needs option "engine": an engine/],
    [{ engine: {} }, /option "engine" of "cluster" of app\.register\(tether\) must be an engine.*got \{\}/],
    [{ engine, nam: 'shop' }, /"cluster" of app\.register\(tether\) has no option "nam".*Did you mean "name"/],
    [{ engine, name: '' }, /option "name".*1 to 64 letters.*got ''/],
    [{ engine, name: 'a b' }, /option "name"/],
    [{ engine, leaseMs: 0 }, /option "leaseMs".*from 1.*got 0/],
    [{ engine, logMs: '60s' }, /option "logMs".*got '60s'/],
    [{ engine, queueFrames: 0 }, /option "queueFrames".*at least 1.*got 0/],
    [{ engine, queueBytes: 1.5 }, /option "queueBytes".*got 1\.5/],
    [{ engineFor: () => undefined }, /option "engine".*engineFor gives lacks open, append, range, send, get, put, renew, nodes, close, can$/],
    [{ engineFor: () => Object.assign(engine.engineFor({ name: 'shop', logMs: 60_000 }), { renew: undefined }) }, /option "engine".*engineFor gives lacks renew$/]
  ]
  for (const [given, message] of faults) await t.rejects(registerWith(given), { code: 'FST_ERR_TETHER_OPTION', message }, String(message))
  await t.rejects(registerWith({ engineFor: () => { throw new Error('no such server') } }), { message: 'no such server' })
})

t.test('an engine alone, and an object with it, are the same', async (t) => {
  const hub = memory()
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(tether, { cluster: hub })
  const one = await startNode(t, hub)
  await app.ready()
  await until(() => one.cluster.nodes().length === 2, 'both')
  t.equal(app.tether.cluster!.status, 'ready')
  t.match(app.tether.cluster!.nodes()[0], { name: app.tether.cluster!.node, isSelf: true, sessions: 0, draining: false })
  t.match(app.tether.cluster!.node, /^[\w-]{1,64}$/)
})

t.test('nodes() tells who comes, drains and leaves', async (t) => {
  const { hub, nodes: [one, two] } = await startNodes(t, 2)
  const three = await startNode(t, hub)
  await until(() => one!.cluster.nodes().length === 3 && two!.cluster.nodes().length === 3, 'three')
  await two!.connect()
  const told = () => one!.cluster.nodes().find(({ name }) => name === two!.cluster.node)!
  await two!.app.tether.drain({ timeoutMs: 0 })
  t.equal(two!.cluster.nodes()[0]!.draining, true)
  // The others read cards when a node comes, and with each renewal.
  const four = await startNode(t, hub)
  await until(() => told().draining, 'the drain is told')
  await three.app.close()
  await until(() => one!.cluster.nodes().length === 3, 'one has left')
  t.strictSame(one!.cluster.nodes().map(({ name }) => name).toSorted(), [one!, two!, four].map(({ cluster }) => cluster.node).toSorted())
  t.equal(three.cluster.status, 'isolated')
})

/** An engine that fails in the way of a test. */
function failing (change: (engine: Engine) => Partial<Engine>): EngineSource {
  const hub = memory({ deadlineMs: 200 })
  return {
    engineFor: (application) => {
      const engine = hub.engineFor(application)
      return Object.assign(engine, change(engine))
    }
  }
}

t.test('an engine that cannot work at all keeps the application from starting', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(tether, { cluster: failing(() => ({ open: () => Promise.reject(new Error('the directory is not yours')) })) })
  await t.rejects(async () => { await app.ready() }, { message: 'the directory is not yours' })
})

t.test('an engine that does not answer does not: the application starts degraded, and joins later', async (t) => {
  let events!: EngineEvents
  const node = await startNode(t, failing((engine) => {
    const open = engine.open.bind(engine)
    return {
      open: async (name, on) => {
        events = on
        await open(name, { ...on, up () {} })
      }
    }
  }))
  t.equal(node.cluster.status, 'degraded')
  const { reader, session } = await node.connect()
  node.live.broadcast('note', { text: 'waits' })
  session.send('note', { text: 'private' })
  await until(() => seen(reader).length === 1, 'what flows')
  events.up()
  await until(() => seen(reader).includes('waits'), 'what waited')
  // Nobody knows what other nodes sent meanwhile.
  t.strictSame(seen(reader), ['private', 'GAP', 'waits'])
  t.equal(node.cluster.status, 'ready')
})

t.test('an application closes in time, whatever its engine does', async (t) => {
  const { hub, nodes: [frozen, cut, fine] } = await startNodes(t, 3)
  hub.freeze(frozen!.cluster.node)
  hub.cut(cut!.cluster.node)
  const synced = [frozen!, cut!].map(({ live }) => {
    live.broadcast('note', { text: 'never' })
    return live.synced()
  })
  await Promise.all([
    within(frozen!.app.close(), 'the close of the frozen node', 6_000),
    within(cut!.app.close(), 'the close of the cut node', 6_000),
    ...synced.map((promise) => t.rejects(promise, { code: 'FST_ERR_TETHER_ENGINE' }))
  ])
  const { reader } = await fine!.connect()
  // What a node broadcasts while it closes still goes out. Sessions that move do not end.
  const closing = await startNode(t, hub, { live: { persist: 'never', onClose: (_session, _reason, { live }) => { live.broadcast('note', { text: 'from onClose' }) } } })
  await closing.connect()
  await closing.app.close()
  await until(() => seen(reader).length === 1, 'the last words')
  t.strictSame(seen(reader), ['from onClose'])
})

t.test('an application that was never ready closes', async () => {
  const app = Fastify()
  await app.register(tether, { cluster: memory() })
  t.equal(app.tether.cluster!.status, 'degraded')
  await app.close()
})
