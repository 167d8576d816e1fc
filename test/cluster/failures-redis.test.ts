// What Redis itself does to sessions: it is full, evicts, forgets scripts, is busy, becomes a replica, fails over to one that lags.
import t, { type Test } from 'tap'
import { Redis } from 'ioredis'
import { counting } from '../e2e/harness/claim.ts'
import { refused } from '../e2e/harness/refusal.ts'
import { post, readWhole } from '../e2e/harness/request.ts'
import { until } from '../e2e/harness/until.ts'
import { labels } from './harness/nodes.ts'
import { startRedis } from './harness/redis-process.ts'
import { startRelay } from './harness/relay.ts'
import { Tab } from './harness/tabs.ts'
import { broadcastsAt, holesAreTold, openPages, saidAnywhere, say } from './harness/weather.ts'
import { Site, type WeatherNode } from './harness/weather-site.ts'

const leaseMs = 1_500
const scope = { after: (end: () => unknown) => { t.teardown(end) } }
const server = await startRedis(scope)
const site = await Site.of(scope, server.port, {
  engine: { deadlineMs: 400 },
  cluster: { leaseMs, handoverMs: 3_000, forwardMs: 800 }
})
const [a, b] = await site.start(['@fastify/redis', 'redis']) as [WeatherNode, WeatherNode]
const nodes = [a, b] as const
const pages = () => openPages(site, nodes)

/** Lets each page have what was broadcast, and asserts that it had all of it once, without a gap and in one order. */
async function gotAll (t: Test, tabs: readonly Tab[], expected: readonly string[]): Promise<void> {
  for (const tab of tabs) await until(() => broadcastsAt(tab).length >= expected.length, 'all broadcasts')
  for (const tab of tabs) t.strictSame(broadcastsAt(tab).toSorted(), expected.toSorted(), 'each once, and no gap')
  for (const tab of tabs) t.strictSame(broadcastsAt(tab), broadcastsAt(tabs[0]!), 'one order')
}

t.test('a full Redis: what needs no memory goes on, all else is refused or waits, and nothing is lost', async (t) => {
  const [x, y] = await pages()
  await post(b as never, x.session, say('before', 1), '/move')
  await server.admin.config('SET', 'maxmemory', '1')
  const fullAt = performance.now()
  for (const node of nodes) await node.call('broadcast', '/move', labels(node === a ? 'a' : 'b', 10))
  t.match(await post(a as never, x.session, say('here', 2), '/move'), { status: 202 }, 'an event at its own node')
  refused(t, await post(b as never, x.session, say('there', 3), '/move'), 503, 'FST_ERR_TETHER_UNAVAILABLE', 'an event at another node')
  refused(t, await readWhole(a as never, '/move', { 'x-tether-session': 'new' }), 503, 'FST_ERR_TETHER_UNAVAILABLE', 'a new session')
  refused(t, await readWhole(a as never, '/move', counting(y.session, y.last)), 503, 'FST_ERR_TETHER_UNAVAILABLE', 'a move')
  t.equal(await a.call('send', '/move', x.session, 'own'), true)
  await until(() => x.all.includes('own'), 'a private update flows')
  await until(() => performance.now() - fullAt > 1.5 * leaseMs, 'more than a lease')
  for (const node of nodes) t.not(await node.call('status'), 'isolated', 'leases go on')
  t.strictSame(broadcastsAt(x), [])
  t.equal(await y.comeTo(b), 'resumed', 'a session that could not move is where it was')
  await server.admin.config('SET', 'maxmemory', '0')
  t.match(await until(async () => {
    const answer = await post(b as never, x.session, say('there', 3), '/move')
    return answer.status === 202 && answer
  }, 'the event, again'), { status: 202 })
  t.equal(await y.comeTo(a), 'resumed')
  await gotAll(t, [x, y], [...labels('a', 10), ...labels('b', 10)])
  t.strictSame(await saidAnywhere(site, x.session), ['before', 'here', 'there'])
})

t.test('a Redis that may evict: a warning says so, and what it takes is told to the pages', async (t) => {
  const tabs = await pages()
  const { admin } = server
  const used = Number(/used_memory:(\d+)/.exec(await admin.info('memory'))![1])
  await admin.config('SET', 'maxmemory-policy', 'allkeys-random', 'maxmemory', String(used + 300_000))
  await admin.call('CLIENT', 'KILL', 'TYPE', 'normal')
  for (const node of nodes) await until(async () => (await node.call('log')).some((line) => line.includes('maxmemory-policy is allkeys-random')), 'the warning')
  await site.isCalm()
  for (const node of nodes) await node.call('load', '/move', node === a ? 'a' : 'b', 5)
  let junk = 0
  // Each of the few hundred keys goes with the same chance, those of the nodes too.
  await until(async () => {
    await Promise.all(Array.from({ length: 50 }, () => admin.set(`junk:${junk++}`, 'j'.repeat(2_000))))
    return Number(/evicted_keys:(\d+)/.exec(await admin.info('stats'))![1]) > 1_000
  }, 'many keys are gone')
  await admin.config('SET', 'maxmemory', '0', 'maxmemory-policy', 'noeviction')
  await Promise.all(Array.from({ length: junk }, (_, at) => admin.del(`junk:${at}`)))
  await site.isCalm()
  const verdicts = await Promise.all(tabs.map((tab, at) => tab.comeTo(nodes[1 - at]!)))
  t.ok(verdicts.every((verdict) => ['resumed', 'gap', 'expired'].includes(verdict)), `${verdicts}`)
  const counts = await Promise.all(nodes.map((node) => node.call('stopLoad')))
  for (const node of nodes) await node.call('synced', '/move')
  await a.call('broadcast', '/move', ['end'])
  for (const [at, tab] of tabs.entries()) {
    await until(() => broadcastsAt(tab).at(-1) === 'end', 'the end')
    if (verdicts[at] === 'expired') continue
    for (const [from, name] of ['a', 'b'].entries()) {
      const got = broadcastsAt(tab).filter((text) => text === 'GAP' || text.startsWith(`${name}:`))
      t.ok(holesAreTold(got, labels(name, counts[from]!)), `each hole in the broadcasts of ${name} is told`)
    }
  }
})

t.test('scripts that Redis forgets while sessions move: nobody notices', async (t) => {
  const [x, y] = await pages()
  const flushing = setInterval(() => { server.admin.script('FLUSH').catch(() => {}) }, 3)
  t.teardown(() => { clearInterval(flushing) })
  const expected: string[] = []
  for (let round = 0; round < 8; round++) {
    const texts = labels(String(round), 5)
    expected.push(...texts)
    await nodes[round % 2]!.call('broadcast', '/move', texts)
    t.match(await post(nodes[round % 2] as never, x.session, say(String(round), round + 1), '/move'), { status: 202 })
    await Promise.all([x.comeTo(nodes[(round + 1) % 2]!), y.comeTo(nodes[round % 2]!)])
  }
  clearInterval(flushing)
  await gotAll(t, [x, y], expected)
  for (const tab of [x, y]) t.strictSame(new Set(tab.verdicts.slice(1)), new Set(['resumed']))
  t.strictSame(await saidAnywhere(site, x.session), Array.from({ length: 8 }, (_, round) => String(round)))
})

for (const fault of ['busy with a script', 'a replica'] as const) {
  t.test(`Redis is ${fault} for a time: that is down, not empty`, async (t) => {
    const [x, y] = await pages()
    const { admin } = server
    const looping = new Redis({ port: server.port, host: '127.0.0.1', retryStrategy: () => null })
    t.teardown(() => { looping.disconnect() })
    if (fault === 'a replica') await admin.call('REPLICAOF', '127.0.0.1', '1')
    else {
      await admin.config('SET', 'lua-time-limit', '50')
      looping.eval('while true do end', 0).catch(() => {})
    }
    for (const node of nodes) {
      await until(async () => ['degraded', 'isolated'].includes(await node.call('status')), 'it is noticed')
      await node.call('broadcast', '/move', labels(node === a ? 'a' : 'b', 5))
    }
    refused(t, await readWhole(a as never, '/move', counting(y.session, y.last)), 503, 'FST_ERR_TETHER_UNAVAILABLE', 'nobody takes over')
    for (const [at, tab] of [x, y].entries()) {
      t.equal(await nodes[at]!.call('send', '/move', tab.session, 'own'), true)
      await until(() => tab.all.includes('own'), 'a private update flows')
      t.notOk(tab.reader.closed, 'the stream stays')
    }
    if (fault === 'a replica') await admin.call('REPLICAOF', 'NO', 'ONE')
    else await admin.script('KILL' as never)
    await site.isCalm()
    t.equal(await x.comeTo(b), 'resumed')
    t.equal(await y.comeTo(a), 'resumed')
    await gotAll(t, [x, y], [...labels('a', 5), ...labels('b', 5)])
  })
}

t.test('a failover to a replica that lags: holes are told, and no session is lost that a node has', async (t) => {
  const replica = await startRedis(scope)
  const lag = await startRelay(scope, server.port)
  await replica.admin.call('REPLICAOF', '127.0.0.1', String(lag.port))
  const tabs = await pages()
  const [x, y] = tabs
  await post(a as never, x.session, say('before', 1), '/move')
  await until(async () => String(await replica.admin.info('replication')).includes('master_link_status:up'), 'the replica')
  await until(async () => await replica.admin.xlen('tether:{tether}:log') === await server.admin.xlen('tether:{tether}:log'), 'the replica has all')
  for (const node of nodes) await node.call('load', '/move', node === a ? 'a' : 'b', 4)
  await until(() => tabs.every((tab) => broadcastsAt(tab).length > 20), 'the load')
  lag.freeze()
  // The replica has neither: a session that is new, one that has moved, and some broadcasts that everybody has.
  const fresh = await Tab.open(a, { path: '/move' })
  t.equal(await x.comeTo(b), 'resumed')
  t.match(await post(a as never, x.session, say('moved', 2), '/move'), { status: 202 })
  const until0 = broadcastsAt(y).length
  await until(() => broadcastsAt(y).length > until0 + 20, 'more of the load')
  await server.kill()
  await replica.admin.call('REPLICAOF', 'NO', 'ONE')
  for (const { relay } of nodes) relay.target = replica.port
  await site.isCalm()
  t.match(await fresh.comeTo(b), /^(resumed|gap)$/, 'the record that the replica lacks is written again')
  t.match(await post(a as never, x.session, say('after', 3), '/move'), { status: 202 })
  t.match(await x.comeTo(a), /^(resumed|gap)$/, 'the record is not taken for a newer one')
  t.strictSame(await a.call('said', '/move', x.session), ['before', 'moved', 'after'])
  const counts = await Promise.all(nodes.map((node) => node.call('stopLoad')))
  for (const node of nodes) await node.call('synced', '/move')
  await a.call('broadcast', '/move', ['end'])
  for (const tab of tabs) {
    await until(() => broadcastsAt(tab).at(-1) === 'end', 'the end')
    for (const [from, name] of ['a', 'b'].entries()) {
      const got = broadcastsAt(tab).filter((text) => text === 'GAP' || text.startsWith(`${name}:`))
      t.ok(holesAreTold(got, labels(name, counts[from]!)), `each hole in the broadcasts of ${name} is told`)
    }
  }
})
