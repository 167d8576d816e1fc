import t, { type Test } from 'tap'
import { Cluster } from 'ioredis'
import type { LogEntry } from '../../../plugin/entries/redis.ts'
import { until } from '../../e2e/harness/until.ts'
import { clientKind, clientKinds } from '../../cluster/harness/redis-clients.ts'
import { openNode, type OpenNode } from '../../cluster/harness/redis-node.ts'
import { isWhole, startCluster, startRedis, type RedisProcess } from '../../cluster/harness/redis-process.ts'
import { startRelay, type Scope } from '../../cluster/harness/relay.ts'

const minute = { ttlMs: 60_000 }
const kinds = ['ioredis 6', 'iovalkey', 'redis 6'].map(clientKind)
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

function scopeOf (t: Test): Scope {
  const ends: Array<() => unknown> = []
  t.teardown(async () => { for (const end of ends.reverse()) await end() })
  return { after: (end) => { ends.push(end) } }
}

/** Appends without a pause until it is stopped, and notes what was acknowledged. */
function load ({ engine }: OpenNode, author: string) {
  const acknowledged: string[] = []
  const records: Array<{ key: string, revision: string }> = []
  const stopped = new AbortController()
  const running = (async () => {
    for (let index = 0; !stopped.signal.aborted; index++) {
      const key = `${author}-${index}`
      const entry = engine.append(Buffer.from(`${author}:${index}`)).then(() => { acknowledged.push(`${author}:${index}`) })
      const record = engine.put(key, Buffer.from(key), null, minute).then((revision) => { if (revision !== null) records.push({ key, revision }) })
      const [outcome] = await Promise.allSettled([entry, record])
      await pause(outcome.status === 'rejected' ? 10 : 1)
    }
  })()
  return {
    acknowledged,
    records,
    stop: async () => {
      stopped.abort()
      await running
    }
  }
}

/** Repeats a call that is rejected, as long as a failover takes. */
async function settled<Value> (call: () => Promise<Value>): Promise<Value> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await call()
    } catch (error) {
      if (attempt === 30) throw error
      await pause(100)
    }
  }
}

/** All that the log has. */
async function readLog ({ engine }: OpenNode): Promise<Set<string>> {
  const log = new Set<string>()
  let after: string | null = null
  for (;;) {
    const piece: LogEntry[] = await engine.range(after, 500)
    if (piece.length === 0) return log
    for (const { bytes } of piece) log.add(bytes.toString())
    after = piece.at(-1)!.at
  }
}

/** What every node must have seen in the end: each acknowledged entry, and the log in one order. */
async function settle (t: Test, nodes: readonly OpenNode[], loads: ReadonlyArray<ReturnType<typeof load>>, mark: string): Promise<void> {
  await Promise.all(loads.map(({ stop }) => stop()))
  for (const node of nodes) await until(node.isUp, 'up')
  await nodes[0]!.engine.append(Buffer.from(mark))
  for (const node of nodes) await until(() => node.entries.includes(mark), 'the mark')
  const seen = nodes.map(({ entries }) => new Set(entries))
  for (const { acknowledged } of loads) {
    t.ok(acknowledged.length > 0, `${acknowledged.length} acknowledged`)
    for (const set of seen) t.same(acknowledged.filter((entry) => !set.has(entry)), [], 'acknowledged, and not reported')
  }
  // What a failed master took along, only some may have seen.
  const log = await readLog(nodes[0]!)
  const [first, ...others] = seen.map((set) => [...set].filter((entry) => log.has(entry)))
  t.equal(first!.length, log.size, 'all of the log')
  for (const other of others) t.same(other, first, 'one order')
}

for (const { name, client } of kinds) {
  t.test(`${name}: the server is killed and started again under load, with a file: nothing is lost or forgotten`, async (t) => {
    const scope = scopeOf(t)
    const server = await startRedis(scope, { isDurable: true })
    const nodes = [await openNode(scope, client(server.port)), await openNode(scope, client(server.port))]
    const loads = nodes.map((node, index) => load(node, `a${index}`))
    for (let round = 0; round < 4; round++) {
      await pause(300)
      await server.kill()
      for (const node of nodes) await until(() => !node.isUp(), 'down')
      await server.start()
      for (const node of nodes) await until(node.isUp, 'up again')
    }
    await settle(t, nodes, loads, 'mark')
    for (const node of nodes) t.notOk(node.states.includes('forgot'))
    for (const { records } of loads) {
      const found = await Promise.all(records.slice(-200).map(({ key }) => nodes[0]!.engine.get(key)))
      t.same(found.map((record) => record?.revision), records.slice(-200).map(({ revision }) => revision), 'each acknowledged record')
    }
  })

  t.test(`${name}: the same without a file: all nodes learn it, once for each time`, async (t) => {
    const scope = scopeOf(t)
    const server = await startRedis(scope)
    const nodes = [await openNode(scope, client(server.port)), await openNode(scope, client(server.port))]
    for (let round = 1; round <= 3; round++) {
      await nodes[0]!.engine.put('kept', Buffer.from('a'), null, minute)
      await server.kill()
      await server.start()
      for (const node of nodes) await until(() => node.states.filter((state) => state === 'forgot').length === round && node.isUp(), 'forgot, then up')
      t.equal(await nodes[1]!.engine.get('kept'), null)
      await nodes[1]!.engine.append(Buffer.from(`round:${round}`))
      for (const node of nodes) await until(() => node.entries.includes(`round:${round}`), 'the next entry')
    }
    for (const node of nodes) t.same(node.states, ['up', ...Array.from({ length: 3 }, () => ['down', 'forgot', 'up']).flat()])
  })

  t.test(`${name}: the server is stopped for longer than the deadline: calls reject in time, then all goes on`, async (t) => {
    const scope = scopeOf(t)
    const server = await startRedis(scope)
    const nodes = [await openNode(scope, client(server.port)), await openNode(scope, client(server.port))]
    const loads = nodes.map((node, index) => load(node, `s${index}`))
    for (let round = 0; round < 2; round++) {
      await pause(200)
      await server.freeze()
      const startedAt = performance.now()
      await t.rejects(nodes[0]!.engine.get('any'), { code: 'FST_ERR_TETHER_ENGINE' })
      t.ok(performance.now() - startedAt < 2_000, 'within the deadline')
      for (const node of nodes) await until(() => !node.isUp(), 'down')
      await pause(2_500)
      server.thaw()
      for (const node of nodes) await until(node.isUp, 'up again')
    }
    await settle(t, nodes, loads, 'mark')
    for (const node of nodes) t.notOk(node.states.includes('forgot'))
  })

  t.test(`${name}: a slow line, then one that breaks and freezes: nothing that was acknowledged is lost`, async (t) => {
    const scope = scopeOf(t)
    const server = await startRedis(scope)
    const relay = await startRelay(scope, server.port)
    const [near, far] = [await openNode(scope, client(server.port)), await openNode(scope, client(relay.port))]
    const loads = [load(near, 'near'), load(far, 'far')]
    relay.delayMs = 100
    await pause(1_500)
    t.same([near.states, far.states], [['up'], ['up']], 'slow is not down')
    for (const fault of ['cut', 'freeze', 'cut'] as const) {
      await relay[fault]()
      await until(() => !far.isUp(), 'down')
      await pause(500)
      relay.mend()
      await until(far.isUp, 'up again')
    }
    relay.delayMs = 0
    await settle(t, [near, far], loads, 'mark')
    t.same(near.states, ['up'])
  })

  t.test(`${name}: a master with a lagging replica fails over: every node goes on, and all see the same`, async (t) => {
    const scope = scopeOf(t)
    const master = await startRedis(scope)
    const replica = await startRedis(scope)
    // What the replica gets is late.
    const lag = await startRelay(scope, master.port)
    lag.delayMs = 300
    await replica.admin.call('REPLICAOF', '127.0.0.1', String(lag.port))
    const relay = await startRelay(scope, master.port)
    const nodes = [await openNode(scope, client(relay.port)), await openNode(scope, client(relay.port))]
    const loads = nodes.map((node, index) => load(node, `before${index}`))
    let isSynchronised = false
    while (!isSynchronised) isSynchronised = await replica.admin.xlen('tether:{shop}:log') > 100
    await master.kill()
    await replica.admin.call('REPLICAOF', 'NO', 'ONE')
    for (const node of nodes) await until(() => !node.isUp(), 'down')
    await Promise.all(loads.map(({ stop }) => stop()))
    const acknowledged = loads.flatMap((load) => load.acknowledged)
    relay.target = replica.port
    for (const node of nodes) await until(node.isUp, 'up again')
    await settle(t, nodes, nodes.map((node, index) => load(node, `after${index}`)).map((one) => ({ ...one, stop: async () => { await until(() => one.acknowledged.length > 50, 'more'); await one.stop() } })), 'mark')
    const log = await readLog(nodes[0]!)
    const lost = acknowledged.filter((entry) => !log.has(entry))
    t.ok(lost.length > 0, `${lost.length} acknowledged entries were lost with the master`)
    for (const node of nodes) t.notOk(node.states.includes('forgot'), 'the memory is there')
  })
}

/** A cluster of three masters, each with a replica. */
async function startReplicated (scope: Scope): Promise<readonly RedisProcess[]> {
  const masters = await startCluster(scope)
  const [first] = masters as [RedisProcess]
  const spares: RedisProcess[] = []
  for (const { admin } of masters) {
    const spare = await startRedis(scope, { isCluster: true })
    await first.admin.call('CLUSTER', 'MEET', '127.0.0.1', spare.port, spare.busPort)
    const id = String(await admin.call('CLUSTER', 'MYID'))
    let isKnown = false
    while (!isKnown) isKnown = String(await spare.admin.call('CLUSTER', 'NODES')).includes(id)
    await spare.admin.call('CLUSTER', 'REPLICATE', id)
    spares.push(spare)
  }
  for (const { admin } of spares) {
    let isLinked = false
    while (!isLinked) isLinked = String(await admin.info('replication')).includes('master_link_status:up')
  }
  await isWhole([...masters, ...spares])
  return masters
}

/** The master that has a key. */
async function holderOf (masters: readonly RedisProcess[], key: string): Promise<RedisProcess> {
  const slot = Number(await masters[0]!.admin.call('CLUSTER', 'KEYSLOT', key))
  return masters[Math.floor(slot / Math.ceil(16_384 / 3))]!
}

t.test('a master of a cluster that has not the log fails over: nodes learn that records may be lost', async (t) => {
  const scope = scopeOf(t)
  const masters = await startReplicated(scope)
  const holder = await holderOf(masters, 'tether:{shop}:log')
  const nodes: OpenNode[] = []
  for (const { cluster } of clientKinds.filter(({ name }) => kinds.some((kind) => kind.name === name))) nodes.push(await openNode(scope, cluster(holder.port), { deadlineMs: 10_000 }))
  const before = nodes.map(({ states }) => states.length)
  await masters.find((master) => master !== holder)!.kill()
  for (const [index, node] of nodes.entries()) await until(() => node.states.length >= before[index]! + 2 && node.isUp(), 'down, then up', 60_000)
  for (const node of nodes) t.notOk(node.states.includes('forgot'))
})

t.test('a master of a cluster is killed and its replica takes over: no client needs a new start', async (t) => {
  const scope = scopeOf(t)
  const masters = await startReplicated(scope)
  const nodes: OpenNode[] = []
  for (const { cluster } of clientKinds.filter(({ name }) => kinds.some((kind) => kind.name === name))) nodes.push(await openNode(scope, cluster(masters[1]!.port), { deadlineMs: 1_000 }))
  const keys = Array.from({ length: 60 }, (_, index) => `kept-${index}`)
  for (const key of keys) await nodes[0]!.engine.put(key, Buffer.from(key), null, minute)
  await pause(500)
  const looker = new Cluster([{ host: '127.0.0.1', port: masters[1]!.port }])
  looker.on('error', () => {})
  scope.after(() => { looker.disconnect() })
  // The one that has the log.
  await (await holderOf(masters, 'tether:{shop}:log')).kill()
  for (const node of nodes) await until(() => node.states.length >= 3 && node.isUp(), 'down, then up')
  for (const node of nodes) {
    t.notOk(node.states.includes('forgot'))
    for (const key of keys) t.equal((await settled(() => node.engine.get(key)))?.value.toString(), key)
    await settled(() => node.engine.append(Buffer.from(`after:${node.name}`)))
  }
  for (const node of nodes) await until(() => nodes.every(({ name }) => node.entries.includes(`after:${name}`)), 'the entries')
})
