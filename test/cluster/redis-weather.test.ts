import { createHash, randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { Redis } from 'ioredis'
import { until } from '../e2e/harness/until.ts'
import { effort } from '../harness/effort.ts'
import { DueIndex } from '../../plugin/cluster/redis/due-index.ts'
import { RedisKeys } from '../../plugin/cluster/redis/keys.ts'
import { RedisLine } from '../../plugin/cluster/redis/redis-line.ts'
import { serverOf } from '../../plugin/cluster/redis/redis-server.ts'
import { redis } from '../../plugin/entries/redis.ts'
import { defaults } from '../../schemas/defaults.ts'
import { clientKind, clientKinds } from './harness/redis-clients.ts'
import { beginNode, openNode, type OpenNode } from './harness/redis-node.ts'
import { startRedis, type RedisProcess } from './harness/redis-process.ts'
import { startRelay, type Scope } from './harness/relay.ts'

const { client } = clientKind('ioredis 6')
const minute = { ttlMs: 60_000 }
const range = (count: number) => Array.from({ length: count }, (_, index) => index)

function scopeOf (t: Test): Scope {
  const ends: Array<() => unknown> = []
  t.teardown(async () => { for (const end of ends.reverse()) await end() })
  return { after: (end) => { ends.push(end) } }
}

/** A key as the plugin makes it of a session's id. */
function refOf (id: string): string {
  return createHash('sha256').update(id).digest('base64url').slice(0, 22)
}

const append = ({ engine }: OpenNode, text: string) => engine.append(Buffer.from(text))

const unique = (texts: readonly string[]) => [...new Set(texts)]

t.test('scripts that the server forgets during use are loaded again, and no call notices', async (t) => {
  const scope = scopeOf(t)
  const server = await startRedis(scope)
  const [one, two] = [await openNode(scope, client(server.port)), await openNode(scope, clientKind('redis 6').client(server.port))]
  const rounds = 20 * effort
  for (let round = 0; round < rounds; round++) {
    const key = refOf(String(round))
    const work = range(5).map((index) => append(one, `${round * 5 + index}`))
    const flush = server.admin.script('FLUSH')
    const revision = await one.engine.put(key, Buffer.from('a'), null, { ...minute, dueAt: 1_000 })
    t.type(revision, 'string')
    await server.admin.script('FLUSH')
    t.equal(await two.engine.journal!(key, revision!, Buffer.from('x')), true)
    await server.admin.script('FLUSH')
    t.ok((await two.engine.due!(2_000, 1_000)).includes(key))
    await Promise.all([...work, flush])
  }
  await until(() => two.entries.length === rounds * 5, 'all entries')
  t.same(two.entries, range(rounds * 5).map(String), 'once each, in order')
  t.same([one.states, two.states], [['up'], ['up']])
})

async function openLine (scope: Scope, { port }: RedisProcess): Promise<RedisLine> {
  const line = new RedisLine(serverOf(client(port)), 5_000)
  scope.after(() => { line.end(new Error('the test is over')) })
  await line.open()
  return line
}

/** How often scripts ran so far. */
async function scripts ({ admin }: RedisProcess): Promise<number> {
  return Number(/cmdstat_evalsha:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0)
}

for (const { name } of clientKinds) {
  t.test(`${name}: writes of one turn share their way, and each has an answer of its own`, async (t) => {
    const scope = scopeOf(t)
    const server = await startRedis(scope)
    const { engine } = await openNode(scope, clientKind(name).client(server.port))
    const value = (index: number, bytes: number) => Buffer.alloc(bytes, String(index))
    const sizes = range(300).map((index) => index === 100 ? 3_000_000 : index % 50 === 0 ? 400_000 : 100)
    const first = await Promise.all(sizes.map((bytes, index) => engine.put(refOf(String(index)), value(index, bytes), null, minute)))
    t.equal(new Set(first).size, 300, 'a revision for each')
    t.notOk(first.includes(null))
    await server.admin.script('FLUSH')
    const second = await Promise.all([
      ...first.map((revision, index) => engine.put(refOf(String(index)), value(index + 1, 10), index % 3 === 0 ? 'another' : revision, minute)),
      ...first.map((revision, index) => engine.journal!(refOf(String(index)), revision!, Buffer.from('x')))
    ])
    // The journal of a record with a newer revision takes nothing.
    t.same(second.slice(0, 300).map((revision) => revision === null), first.map((_, index) => index % 3 === 0))
    t.same(second.slice(300), first.map((_, index) => index % 3 === 0))
    const found = await Promise.all(first.map((_, index) => engine.get(refOf(String(index)))))
    t.ok(found.every((record, index) => record!.value.equals(index % 3 === 0 ? value(index, sizes[index]!) : value(index + 1, 10))))
    t.same(found.map((record) => record!.revision), found.map((_, index) => index % 3 === 0 ? first[index] : second[index]))
  })
}

t.test('what waits for the end of a turn rejects with its line, and nothing of it is written', async (t) => {
  const scope = scopeOf(t)
  const server = await startRedis(scope)
  const line = await openLine(scope, server)
  const written = Promise.allSettled(range(3).map((index) => line.join(String(index), ['SET', String(index), 'a'])))
  line.end(new Error('the end'))
  t.same((await written).map((result) => result.status === 'rejected' && result.reason.message), ['the end', 'the end', 'the end'])
  await t.rejects(line.join('a', ['SET', 'a', 'a']), { message: 'the end' })
  t.same(await server.admin.keys('*'), [])
})

t.test('a record that is written again and again leaves the index of due times alone, and comes due in time', async (t) => {
  const scope = scopeOf(t)
  const server = await startRedis(scope)
  const [one, two] = [await openNode(scope, client(server.port)), await openNode(scope, client(server.port))]
  const key = refOf('a')
  let revision = await one.engine.put(key, Buffer.from('a'), null, { ...minute, dueAt: 100_000 })
  const put = async (dueAt?: number) => {
    const before = await scripts(server)
    revision = await one.engine.put(key, Buffer.from('a'), revision, dueAt === undefined ? minute : { ...minute, dueAt })
    return await scripts(server) - before
  }
  const due = async (now: number) => (await two.engine.due!(now, 10)).length
  t.equal(await put(100_500), 1, 'the index has an earlier time')
  t.same([await due(100_499), await due(100_500)], [0, 1], 'the time of the record counts')
  t.equal(await put(115_000), 1)
  t.same([await due(114_999), await due(115_000)], [0, 1], 'also once another node has corrected the index')
  t.equal(await put(115_001), 2, 'a quarter of its time to live is the most')
  t.equal(await put(115_000), 2, 'an earlier time goes into the index')
  t.same([await due(114_999), await due(115_000)], [0, 1])
  t.equal(await put(), 1)
  t.equal(await due(1_000_000), 0, 'it has no time any more')
  t.equal(await put(200_000), 2, 'which another node may have taken out of the index')
  t.same([await due(199_999), await due(200_000)], [0, 1])
  t.equal(await one.engine.put(key, Buffer.from('b'), 'another', { ...minute, dueAt: 200_000 }), null)
  t.equal(await put(200_001), 2, 'after a refusal nobody knows')
  await server.admin.del('tether:{shop}:due')
  await server.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await until(() => one.states.length === 3 && two.states.length === 3, 'new connections')
  t.equal(await put(200_002), 2, 'nor after a new connection')
  t.same([await due(200_001), await due(200_002)], [0, 1])
})

t.test('an index of due times remembers as many records as it may', async (t) => {
  const scope = scopeOf(t)
  const server = await startRedis(scope)
  const line = await openLine(scope, server)
  const index = new DueIndex(new RedisKeys('', 'shop'), 2)
  for (const key of ['a', 'b']) await index.add(line, key, 1_000)
  index.written('a', 1_001)
  await index.add(line, 'c', 1_000)
  t.same(['a', 'b', 'c'].map((key) => index.covers(key, 1_001, 10)), [true, false, true], 'b was written longest ago')
  index.forget('a')
  index.clear()
  t.same(['a', 'c'].map((key) => index.covers(key, 1_001, 10)), [false, false])
})

t.test('a server that becomes a replica is down, not empty, until it is a master again', async (t) => {
  const scope = scopeOf(t)
  const server = await startRedis(scope, { args: ['--replica-serve-stale-data', 'yes'] })
  const [one, two] = [await openNode(scope, client(server.port)), await openNode(scope, clientKind('redis 6').client(server.port))]
  const revision = await one.engine.put('kept', Buffer.from('a'), null, minute)
  // Nobody listens there, so it keeps what it has.
  await server.admin.call('REPLICAOF', '127.0.0.1', '1')
  for (const node of [one, two]) {
    await t.rejects(append(node, 'x'), { code: 'FST_ERR_TETHER_ENGINE' })
    await until(() => node.states.at(-1) === 'down', 'down')
    await t.rejects(node.engine.get('kept'), { code: 'FST_ERR_TETHER_ENGINE', message: /READONLY|replica/i })
  }
  await server.admin.call('REPLICAOF', 'NO', 'ONE')
  for (const node of [one, two]) {
    await until(node.isUp, 'up again')
    t.same(node.states, ['up', 'down', 'up'])
    t.equal((await node.engine.get('kept'))?.revision, revision)
  }
  await append(one, 'after')
  await until(() => two.entries.includes('after'), 'the entry')
})

t.test('a full server refuses what needs memory, keeps the leases, and answers everything else', async (t) => {
  const scope = scopeOf(t)
  const server = await startRedis(scope)
  const [one, two] = [await openNode(scope, client(server.port)), await openNode(scope, clientKind('redis 6').client(server.port))]
  const revision = await one.engine.put('kept', Buffer.from('a'), null, { ...minute, dueAt: 1_000 })
  await one.engine.renew(1_000, Buffer.from('card'))
  await server.admin.config('SET', 'maxmemory', '1')
  for (const { engine } of [one, two]) {
    const full = { code: 'FST_ERR_TETHER_ENGINE_FULL' }
    await t.rejects(engine.append(Buffer.from('x')), full)
    await t.rejects(Promise.all([engine.append(Buffer.from('x')), engine.append(Buffer.from('y'))]), full)
    await t.rejects(engine.send(one.name, Buffer.from('x')), full)
    await t.rejects(engine.put('kept', Buffer.from('b'), revision, minute), full)
    await t.rejects(engine.put('moved', Buffer.from('b'), null, { ...minute, dueAt: 1_000 }), full)
    await t.rejects(engine.journal!('kept', revision!, Buffer.from('x')), full)
    t.same(await engine.get('kept'), { revision, value: Buffer.from('a') })
    t.same(await engine.due!(2_000, 10), ['kept'])
    t.same(await engine.range(null, 10), [])
  }
  await t.rejects(two.engine.renew(60_000, Buffer.from('two')), { code: 'FST_ERR_TETHER_ENGINE_FULL' }, 'it had no lease')
  await one.engine.renew(60_000, Buffer.from('newer'))
  t.ok(await server.admin.pttl(`tether:{shop}:n:${one.name}`) > 10_000, 'a lease that ran goes on')
  t.same(await two.engine.nodes(), new Map([[one.name, Buffer.from('card')]]), 'with its earlier card')
  t.same([one.states, two.states], [['up'], ['up']])
  const late = await beginNode(scope, client(server.port))
  await until(late.isUp, 'a node that comes while it is full')
  await server.admin.config('SET', 'maxmemory', '0')
  await append(one, 'after')
  await until(() => two.entries.includes('after') && late.entries.includes('after'), 'the next entry')
  t.same(two.entries, ['after'], 'what was refused was not written')
  t.type(await two.engine.put('kept', Buffer.from('b'), revision, minute), 'string')
})

for (const { name, client } of clientKinds) {
  t.test(`${name}: password and prefix are those of the client, which is neither used nor closed`, async (t) => {
    const scope = scopeOf(t)
    const server = await secured()
    const prefix = /^redis [45]/.test(name) ? undefined : `${name.replace(' ', '-')}:`
    const settings = { password: 'secret', ...prefix === undefined ? {} : { prefix } }
    const application = name.replaceAll(' ', '-')
    const given = client(server.port, settings)
    // A node of a test before may still be leaving.
    const connections = async () => String(await server.admin.client('LIST')).trim().split('\n').map((line) => /^id=\d+/.exec(line)![0])
    const before = await connections()
    const node = await openNode(scope, given, { application })
    t.equal((await connections()).filter((id) => !before.includes(id)).length, 2, 'two connections of its own')
    await append(node, 'entry')
    await node.engine.put(`k-${application}`, Buffer.from('a'), null, { ...minute, dueAt: 1_000 })
    await node.engine.renew(60_000, Buffer.from('card'))
    await until(() => node.entries.includes('entry'), 'the entry')
    const own = `${prefix ?? ''}tether:{${application}}:`
    const keys = await server.admin.keys('*')
    for (const key of [`${own}log`, `${own}n:${node.name}`, `${own}due`, `${prefix ?? ''}tether:s:{k-${application}}`]) t.ok(keys.includes(key), key)
    await node.engine.close()
    t.notOk(await server.admin.exists(`${own}n:${node.name}`), 'the lease ends with the node')
    const stranger = redis(client(server.port, { ...settings, password: 'wrong' }), { deadlineMs: 500 }).engineFor({ name: application, logMs: 60_000 })
    scope.after(() => stranger.close())
    await t.rejects(stranger.open('stranger', { entry () {}, message () {}, up () {}, down () {}, forgot () {} }), { code: 'FST_ERR_TETHER_ENGINE', message: /WRONGPASS|NOAUTH/ })
  })
}

let securedServer: Promise<RedisProcess> | undefined
function secured (): Promise<RedisProcess> {
  return securedServer ??= startRedis({ after: (end) => { t.teardown(end) } }, { password: 'secret' })
}

t.test('Redis sees hashes of sessions alone, under names of this engine, and each key but the fixed ones ends', async (t) => {
  const scope = scopeOf(t)
  const server = await startRedis(scope)
  const watcher = new Redis({ port: server.port, host: '127.0.0.1', protocol: 2, retryStrategy: null })
  // ioredis takes the line of a command that runs before its monitor is set up for a reply. So its own first commands come before.
  await watcher.ping()
  const monitor = await watcher.monitor()
  scope.after(() => {
    monitor.disconnect()
    watcher.disconnect()
  })
  const seen: string[][] = []
  monitor.on('monitor', (_time: unknown, command: string[]) => { seen.push(command) })
  const ids = range(20).map(() => randomUUID())
  const [one, two] = [await openNode(scope, client(server.port)), await openNode(scope, clientKind('redis 6').client(server.port))]
  for (const id of ids) {
    const revision = await one.engine.put(refOf(id), Buffer.from('state'), null, { ...minute, dueAt: 1_000 })
    await one.engine.journal!(refOf(id), revision!, Buffer.from('event'))
    await append(one, refOf(id))
    await one.engine.send(two.name, Buffer.from(refOf(id)))
    await two.engine.get(refOf(id))
  }
  for (const node of [one, two]) await node.engine.renew(60_000, Buffer.from('card'))
  await two.engine.due!(2_000, 100)
  await two.engine.nodes()
  await until(() => two.messages.length === ids.length && two.entries.length === ids.length, 'all arrived')
  for (const key of await server.admin.keys('*')) {
    t.match(key, /^tether:(\{shop\}:(log|marker|nodes|due|(in|n):n-[0-9a-f]{12})|[sj]:\{[\w-]{22}\})$/)
    if (!/:(log|marker|nodes|due)$/.test(key)) t.ok(await server.admin.pttl(key) > 0, `${key} ends`)
    const dump = await server.admin.dumpBuffer(key)
    for (const id of ids) t.notOk(dump?.includes(id), 'no session id is kept')
  }
  const names = new Set(seen.map(([name]) => name!.toLowerCase()))
  for (const name of ['scan', 'subscribe', 'psubscribe', 'publish', 'time', 'multi']) t.notOk(names.has(name), `no ${name}`)
  t.ok(names.has('xadd') && names.has('evalsha'), 'the monitor saw the work')
  for (const command of seen) for (const id of ids) if (command.some((part) => part.includes(id))) t.fail(`a session id in ${command[0]}`)
})

t.test('a node whose clock is wrong by years orders, leases and expires like the others', async (t) => {
  const scope = scopeOf(t)
  const server = await startRedis(scope)
  const right = await openNode(scope, client(server.port))
  const { now } = Date
  const years = 100_000_000_000
  for (const shift of [-years, years]) {
    Date.now = () => now() + shift
    scope.after(() => { Date.now = now })
    const wrong = await openNode(scope, client(server.port))
    await wrong.engine.renew(60_000, Buffer.from('wrong'))
    await wrong.engine.put(`kept-${Math.sign(shift)}`, Buffer.from('a'), null, minute)
    const short = `short-${Math.sign(shift)}`
    await wrong.engine.put(short, Buffer.from('a'), null, { ttlMs: 60 })
    for (let index = 0; index < 10; index++) await append(index % 2 === 0 ? wrong : right, `${shift}:${index}`)
    await until(() => [wrong, right].every(({ entries }) => entries.filter((entry) => entry.startsWith(`${shift}:`)).length === 10), 'the entries')
    t.same(wrong.entries, range(10).map((index) => `${shift}:${index}`))
    t.ok((await right.engine.nodes()).has(wrong.name), 'its lease runs')
    t.ok(await right.engine.get(`kept-${Math.sign(shift)}`), 'its record stays')
    await until(async () => await right.engine.get(short) === null, 'the end of the short one')
    const [newest] = await server.admin.xrevrange('tether:{shop}:log', '+', '-', 'COUNT', 1)
    t.ok(Math.abs(Number(newest![0].split('-')[0]) - now()) < 60_000, 'the server numbered the entries')
    await wrong.engine.close()
    Date.now = now
  }
})

t.test('after a failover to a server whose log and clock are behind, entries and messages go on', async (t) => {
  const scope = scopeOf(t)
  const [master, replica] = await Promise.all([startRedis(scope), startRedis(scope)]) as [RedisProcess, RedisProcess]
  await replica.admin.call('REPLICAOF', '127.0.0.1', String(master.port))
  const relay = await startRelay(scope, master.port)
  const [one, two] = [await openNode(scope, client(relay.port)), await openNode(scope, clientKind('redis 6').client(relay.port))]
  await append(one, 'before')
  await one.engine.send(two.name, Buffer.from('before'))
  await until(() => two.entries.length === 1 && two.messages.length === 1, 'what was before')
  await until(async () => await replica.admin.xlen('tether:{shop}:log') === 1 && await replica.admin.xlen(`tether:{shop}:in:${two.name}`) === 1, 'the replica')
  await replica.admin.call('REPLICAOF', 'NO', 'ONE')
  // As a master with a clock that is an hour ahead: what follows has these ids.
  const ahead = `${Date.now() + 3_600_000}-0`
  await master.admin.xadd('tether:{shop}:log', ahead, 'e', 'lost')
  await master.admin.xadd(`tether:{shop}:in:${two.name}`, ahead, 'f', 'n-stranger', 'n', '1', 'm', 'ahead')
  await until(() => two.entries.includes('lost') && two.messages.includes('ahead'), 'what the replica lacks')
  relay.target = replica.port
  await relay.cut()
  for (const node of [one, two]) await until(() => node.states.at(-1) === 'down', 'down')
  relay.mend()
  for (const node of [one, two]) await until(node.isUp, 'up again')
  for (let index = 0; index < 10; index++) {
    await append(one, `after:${index}`)
    await one.engine.send(two.name, Buffer.from(`after:${index}`))
  }
  const after = range(10).map((index) => `after:${index}`)
  await until(() => two.messages.includes('after:9') && two.entries.includes('after:9'), 'what follows')
  t.same(unique(two.entries), ['before', 'lost', ...after])
  t.same(two.messages, ['before', 'ahead', ...after], 'each message once')
  for (const node of [one, two]) t.notOk(node.states.includes('forgot'), 'nothing was forgotten')
})

t.test('the log keeps as many bytes as it may, and the newest of them', async (t) => {
  const scope = scopeOf(t)
  const server = await startRedis(scope)
  const node = await openNode(scope, client(server.port), { logBytes: 300_000 })
  const payload = 'x'.repeat(10_000)
  for (let index = 0; index < 100; index++) await append(node, `${index}:${payload}`)
  await until(() => node.entries.length === 100, 'all entries')
  const kept = async () => (await node.engine.range(null, 200)).map(({ bytes }) => Number(bytes.toString().split(':')[0]))
  let now: number[] = []
  await until(async () => (now = await kept()).length <= 31, 'the end of the oldest')
  t.ok(now.length > 5, `${now.length} entries`)
  t.equal(now.at(-1), 99)
  t.same(now, range(100).slice(-now.length))
  await append(node, 'next')
  await until(() => node.entries.includes('next'), 'the next')
})

t.test('messages to a node that does not read them are bounded, by count and bytes', async (t) => {
  const scope = scopeOf(t)
  const server = await startRedis(scope)
  const node = await openNode(scope, client(server.port), { deadlineMs: 2_000 })
  const { redisInboxBytes, redisInboxMessages } = defaults.fixed
  const inbox = (name: string) => `tether:{shop}:in:${name}`
  const message = Buffer.alloc(1_000_000)
  let most = 0
  for (let sent = 0; sent < 2 * redisInboxBytes; sent += message.length) {
    message.writeUInt32BE(sent)
    await node.engine.send('large', message)
    most = Math.max(most, Number(await server.admin.memory('USAGE', inbox('large'))))
  }
  t.ok(most > redisInboxBytes && most < 1.15 * redisInboxBytes, `${most} bytes`)
  const [newest] = await server.admin.xrevrangeBuffer(inbox('large'), '+', '-', 'COUNT', 1)
  t.ok((newest as unknown as [Buffer, Buffer[]])[1].some((part) => part.equals(message)), 'the newest stays')
  for (let sent = 0; sent < 3 * redisInboxMessages; sent += 1_000) await Promise.all(range(1_000).map(() => node.engine.send('small', Buffer.from('x'))))
  const count = await server.admin.xlen(inbox('small'))
  t.ok(count >= redisInboxMessages && count < 1.1 * redisInboxMessages, `${count} messages`)
  t.ok(await server.admin.pttl(inbox('small')) > 0)
})

t.test('anything but a client is refused with a word on what to do', (t) => {
  for (const [given, message] of [[undefined, /got undefined: install/], [null, /got null/], ['redis://127.0.0.1', /got a string/], [{}, /got an object/], [Promise.resolve(), /await it first/]] as const) {
    t.throws(() => redis(given as never), { code: 'FST_ERR_TETHER_OPTION', message })
  }
  t.throws(() => redis(client(1), { deadlineMs: 0 }), { code: 'FST_ERR_TETHER_OPTION', message: /deadlineMs/ })
  t.end()
})
