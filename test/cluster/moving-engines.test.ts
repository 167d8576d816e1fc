// The way of a session between nodes, over engines of other processes.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Redis } from 'ioredis'
import { local } from '../../plugin/entries/local.ts'
import { redis } from '../../plugin/entries/redis.ts'
import type { EngineSource } from '../../plugin/cluster/engine.ts'
import { certificate } from '../e2e/harness/certificate.ts'
import { openReader } from '../e2e/harness/reader.ts'
import { post } from '../e2e/harness/request.ts'
import { until } from '../e2e/harness/until.ts'
import { freePort } from '../harness/free-port.ts'
import { makeDirectory } from './harness/local-under-test.ts'
import { startNode, type Node } from './harness/nodes.ts'
import { clientKind, clientKinds } from './harness/redis-clients.ts'
import { program, startCluster, startRedis, type RedisProcess } from './harness/redis-process.ts'
import { keeping, saidAt, Tab } from './harness/tabs.ts'

const say = (text: string, seq: number) => ({ event: 'say', data: { text }, seq })

const skip = existsSync(program) ? false : `no ${program}`

/** Leads sessions through their whole life. Gives what nobody else may know: an id and a claim. */
async function goAround (t: Test, engine: () => EngineSource): Promise<string[]> {
  const [one, two] = [await startNode(t, engine(), { live: keeping }), await startNode(t, engine(), { live: keeping })]
  const both = [one, two]
  await until(() => both.every(({ cluster }) => cluster.nodes().length === 2 && cluster.status === 'ready'), 'both nodes')
  const tab = await Tab.open(one)
  t.match(await post(two, tab.session, say('a', 1)), { status: 202, json: { seq: 1 } })
  const texts: string[] = []
  for (let round = 0; round < 4; round++) {
    for (const { live } of both) {
      texts.push(`${texts.length}`)
      live.broadcast('note', { text: texts.at(-1)! })
    }
    await tab.goTo(both[(round + 1) % 2]!)
  }
  await until(() => tab.all.length === texts.length, 'all updates')
  t.strictSame(tab.all.toSorted((left, right) => Number(left) - Number(right)), texts)
  t.strictSame(saidAt(one, tab.session), ['a'])
  await one.app.close()
  const three = await startNode(t, engine(), { live: keeping })
  await until(() => three.cluster.status === 'ready', 'the new node')
  t.match(await post(three, tab.session, say('b', 2)), { status: 202, json: { seq: 2 } })
  two.live.broadcast('note', { text: 'last' })
  await tab.goTo(two)
  await until(() => tab.all.at(-1) === 'last', 'the last update')
  t.equal(tab.all.length, texts.length + 1)
  t.strictSame(saidAt(two, tab.session), ['a', 'b'])
  t.strictSame(new Set(tab.verdicts.slice(1)), new Set(['resumed']))
  await two.live.get(tab.session)!.close()
  await until(() => two.live.get(tab.session) === undefined, 'the end')
  t.equal((await post(three, tab.session, say('c', 3))).status, 410)
  const claim = await three.live.prepare({ ip: '127.0.0.1', headers: {} } as never)
  const reader = await openReader(two, `/live?tether-session=${claim!}`)
  await until(() => reader.controls.length > 0, 'the prepared session')
  t.match(reader.controls[0], { verdict: 'new' })
  return [tab.session, claim!]
}

t.test('over the local hub', async (t) => {
  const directory = makeDirectory({ after: (end) => { t.teardown(end) } })
  await goAround(t, () => local({ directory }))
})

/** A connection of its own that sees every command. */
async function monitored (t: Test, server: RedisProcess): Promise<string[]> {
  const seen: string[] = []
  const watcher = new Redis({ port: server.port, host: '127.0.0.1', protocol: 2, retryStrategy: () => null })
  // ioredis takes the line of a command that runs before its monitor is set up for a reply. So its own first commands come before.
  await watcher.ping()
  const monitor = await watcher.monitor()
  t.teardown(() => {
    monitor.disconnect()
    watcher.disconnect()
  })
  monitor.on('monitor', (_time: unknown, command: string[]) => { seen.push(command.join(' ')) })
  return seen
}

t.test('over Redis, which never sees an id or a claim of a session', { skip }, async (t) => {
  const scope = { after: (end: () => unknown) => { t.teardown(end) } }
  const server = await startRedis(scope)
  const seen = await monitored(t, server)
  const secrets = await goAround(t, () => redis(clientKinds[0]!.client(server.port)))
  await until(async () => {
    await server.admin.echo('the end')
    return seen.some((command) => command.includes('the end'))
  }, 'the monitor has seen all')
  t.equal(secrets.length, 2)
  for (const secret of secrets) t.notOk(seen.some((command) => command.includes(secret)), 'no command has it')
  t.ok(seen.some((command) => command.includes('last')), 'the monitor saw the broadcasts')
  for (const key of await server.admin.keys('*')) for (const secret of secrets) t.notOk(key.includes(secret) || (await server.admin.dumpBuffer(key))?.includes(secret), key)
})

t.test('over Redis with TLS, a password and a prefix, which are those of the clients', { skip }, async (t) => {
  const scope = { after: (end: () => unknown) => { t.teardown(end) } }
  const directory = mkdtempSync(join(tmpdir(), 'tether-tls-'))
  scope.after(() => { rmSync(directory, { recursive: true, force: true }) })
  const { cert, key } = certificate()
  writeFileSync(join(directory, 'cert'), cert)
  writeFileSync(join(directory, 'key'), key)
  const port = await freePort()
  const server = await startRedis(scope, {
    password: 'secret',
    args: ['--tls-port', String(port), '--tls-cert-file', join(directory, 'cert'), '--tls-key-file', join(directory, 'key'), '--tls-auth-clients', 'no']
  })
  const kinds = ['ioredis 6', 'redis 6', 'iovalkey']
  let made = 0
  await goAround(t, () => redis(clientKind(kinds[made++ % 3]!).client(port, { ca: cert, password: 'secret', prefix: 'own:' })))
  t.equal(made, 3, 'a node with each')
  t.strictSame((await server.admin.keys('*')).filter((name) => !name.startsWith('own:tether:')), [])
  const list = String(await server.admin.client('LIST'))
  t.equal(list.trim().split('\n').filter((line) => line.includes(`laddr=127.0.0.1:${server.port}`)).length, 1, 'nobody but the test came without TLS')
  const stranger = redis(clientKind('ioredis 6').client(port, { ca: cert })).engineFor({ name: 'tether', logMs: 60_000 })
  scope.after(() => stranger.close())
  await t.rejects(stranger.open('stranger', { entry () {}, message () {}, up () {}, down () {}, forgot () {} }), { code: 'FST_ERR_TETHER_ENGINE', message: /NOAUTH/ })
})

t.test('a drain waits for a full Redis to have room; what has none by the end of its time ends, and says so', { skip }, async (t) => {
  const server = await startRedis({ after: (end) => { t.teardown(end) } })
  const engine = () => redis(clientKinds[0]!.client(server.port))
  const closed: string[] = []
  const live = { ...keeping, onClose: (_session: unknown, reason: string) => { closed.push(reason) } }
  const nodes = [await startNode(t, engine(), { live }), await startNode(t, engine(), { live }), await startNode(t, engine(), { live })]
  const [one, two, three] = nodes as [Node, Node, Node]
  await until(() => nodes.every(({ cluster }) => cluster.nodes().length === 3 && cluster.status === 'ready'), 'all nodes')
  const [kept, lost] = [await Tab.open(one), await Tab.open(two)]
  for (const [node, tab] of [[one, kept], [two, lost]] as const) t.match(await post(node, tab.session, say('a', 1)), { status: 202 })
  await server.admin.config('SET', 'maxmemory', '1')
  const drained = one.app.tether.drain({ timeoutMs: 60_000, retryMs: 0, spreadMs: 0 })
  await until(() => kept.reader.controls.at(-1)?.reason === 'draining', 'its page is told')
  await two.app.tether.drain({ timeoutMs: 400, retryMs: 0, spreadMs: 0 })
  await until(() => closed.length > 0, 'its hook runs')
  await server.admin.config('SET', 'maxmemory', '0')
  await drained
  t.equal(await kept.comeTo(three), 'resumed')
  t.strictSame(saidAt(three, kept.session), ['a'])
  t.equal(await lost.comeTo(three), 'expired')
  t.strictSame(closed, ['draining'])
})

t.test('over a Redis Cluster of three masters', { skip }, async (t) => {
  const servers = await startCluster({ after: (end) => { t.teardown(end) } })
  const kinds = ['ioredis 6', 'redis 6', 'iovalkey']
  let made = 0
  await goAround(t, () => redis(clientKind(kinds[made++ % 3]!).cluster(servers[made % 3]!.port)))
})
