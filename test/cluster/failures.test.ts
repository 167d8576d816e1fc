// The table "what fails how" of docs/cluster.md, over Redis: each node is a process, and each row is seen by pages.
import { connect as connectTo } from 'node:net'
import t, { type Test } from 'tap'
import { connect } from '../../client/index.ts'
import { refOf } from '../../plugin/sessions/session-id.ts'
import { counting } from '../e2e/harness/claim.ts'
import { refused } from '../e2e/harness/refusal.ts'
import { post, readWhole } from '../e2e/harness/request.ts'
import { until } from '../e2e/harness/until.ts'
import { effort } from '../harness/effort.ts'
import { labels } from './harness/nodes.ts'
import { startRedis } from './harness/redis-process.ts'
import { Tab } from './harness/tabs.ts'
import { broadcastsAt, holesAreTold, isTold, openPages, saidAnywhere, say } from './harness/weather.ts'
import { Site, type WeatherNode } from './harness/weather-site.ts'

const leaseMs = 1_500
const handoverMs = 6_000
const scope = { after: (end: () => unknown) => { t.teardown(end) } }
// It takes its time to load what is many commands.
const server = await startRedis(scope, { isDurable: true, args: ['--key-load-delay', '250'] })
const site = await Site.of(scope, server.port, {
  engine: { deadlineMs: 400, logBytes: 60_000 },
  cluster: { leaseMs, handoverMs, forwardMs: 800, isolatedMs: 1_000, queueFrames: 300 }
})
const [a, b, c] = await site.start(['ioredis', 'redis', ['iovalkey', { clockShiftMs: 3_600_000 }]]) as [WeatherNode, WeatherNode, WeatherNode]

const pages = (path?: string) => openPages(site, [a, b, c] as const, path)

const labelOf = (text: string) => text.split(' ')[0]

/** Takes the stream from a page of `/detach`, and waits until its session is in the engine. */
async function freeze ({ reader, session }: Tab): Promise<void> {
  reader.destroy()
  await until(async () => (await server.admin.hget(`tether:s:{${refOf(session)}}`, 'v'))?.includes('"frozen"'), 'the session is in the engine')
}

t.test('a node whose link breaks, freezes or is slow for a short time: updates are late, and nothing is lost', async (t) => {
  const [x, y] = await pages()
  const expected: string[] = []
  for (const fault of ['cut', 'freeze', 'delay'] as const) {
    // A way there and back takes far less than the engine's deadline.
    if (fault === 'delay') b.relay.delayMs = 60
    else await b.relay[fault]()
    if (fault !== 'delay') await b.isIn('degraded')
    const saidAt = performance.now()
    const [fromA, fromB] = [labels(`${fault}-a`, 5), labels(`${fault}-b`, 5)]
    await a.call('broadcast', '/move', fromA)
    await b.call('broadcast', '/move', fromB)
    t.equal(await b.call('send', '/move', y.session, `${fault}-own`), true)
    await until(() => y.all.includes(`${fault}-own`), 'a private update flows')
    await until(() => broadcastsAt(x).includes(`${fault}-a:4`), 'the others have theirs')
    if (fault !== 'delay') {
      t.notOk(broadcastsAt(y).includes(`${fault}-a:0`), `${fault}: late`)
      b.relay.mend()
    }
    expected.push(...fromA, ...fromB)
    for (const page of [x, y]) await until(() => broadcastsAt(page).length === expected.length, `what was late, by ${fault}`)
    if (fault === 'delay') t.ok(performance.now() - saidAt >= 60, 'delay: late')
    b.relay.delayMs = 0
  }
  t.strictSame(broadcastsAt(x).toSorted(), expected.toSorted(), 'once each')
  t.strictSame(broadcastsAt(y), broadcastsAt(x), 'one order, and no gap')
  t.notOk(y.reader.closed, 'the stream was open all the time')
})

t.test('a node that is away for longer than the log keeps broadcasts: its pages get one gap, and onGap runs', async (t) => {
  const [x, y, z] = await pages()
  b.relay.freeze()
  const large = 'l'.repeat(4_000)
  for (const text of labels('a', 40)) await a.call('broadcast', '/move', [`${text} ${large}`])
  await a.call('synced', '/move')
  await until(async () => await server.admin.xlen('tether:{tether}:log') < 25, 'the log dropped the oldest')
  b.relay.mend()
  await b.isIn('ready')
  await a.call('broadcast', '/move', ['last'])
  for (const page of [x, y, z]) await until(() => broadcastsAt(page).at(-1) === 'last', 'the last')
  t.strictSame(broadcastsAt(x).map(labelOf), [...labels('a', 40), 'last'], 'the others missed nothing')
  t.strictSame(broadcastsAt(z).map(labelOf), broadcastsAt(x).map(labelOf))
  const got = broadcastsAt(y)
  t.equal(got.filter((text) => text === 'GAP').length, 1, 'one gap')
  const at = got.indexOf('GAP')
  t.strictSame(got.slice(at + 1).map(labelOf), broadcastsAt(x).slice(at + 1 - got.length).map(labelOf), 'and what the log still had')
  t.ok(y.all.includes('snapshot'), 'onGap runs')
  t.equal((await b.call('hooks')).filter((hook) => hook === `onGap ${refOf(y.session)}`).length, 1)
})

for (const fault of ['a link without FIN', 'SIGSTOP'] as const) {
  t.test(`the lease of a node runs out, by ${fault}: nobody can use it, others go on, and it comes back`, async (t) => {
    const [x, y] = await pages()
    const away = await Tab.open(b, { path: '/detach' })
    const stays = await Tab.open(b, { path: '/move' })
    await post(b as never, away.session, say('before', 1), '/detach')
    await freeze(away)
    if (fault === 'SIGSTOP') await b.freeze()
    else b.relay.freeze()
    await until(async () => !(await a.call('nodes')).includes(b.name), 'it is dead for the others')
    t.notOk(y.reader.closed, 'the stream stays')
    if (fault === 'SIGSTOP') {
      t.equal(await away.comeTo(a), 'resumed', 'a session without a stream survives')
      t.equal(await y.comeTo(a), 'expired', 'one that only its memory has is lost, and told')
      b.wake()
    } else {
      await b.isIn('isolated')
      refused(t, await post(b as never, y.session, say('x', 1), '/move'), 503, 'FST_ERR_TETHER_UNAVAILABLE', 'a POST')
      refused(t, await readWhole(b as never, '/move', counting(stays.session, 0)), 503, 'FST_ERR_TETHER_UNAVAILABLE', 'a GET')
      t.equal(await b.call('send', '/move', stays.session, 'own'), true)
      await until(() => stays.all.includes('own'), 'a private update flows')
      t.equal(await away.comeTo(a), 'resumed', 'a session without a stream survives')
      t.equal(await y.comeTo(a), 'expired', 'one that only its memory has is lost, and told')
      await until(() => isTold(stays, 'isolated'), 'the goodbye')
      await until(() => stays.reader.ended, 'the end of the stream')
      b.relay.mend()
    }
    t.strictSame(await a.call('said', '/detach', away.session), ['before'])
    await site.isCalm()
    t.equal(await stays.comeTo(b), 'resumed', 'a session that nobody asked for goes on')
    t.match(await post(c as never, stays.session, say('y', 1), '/move'), { status: 202, json: { seq: 1 } })
    t.strictSame(await b.call('said', '/move', stays.session), ['y'])
    await c.call('broadcast', '/move', ['after'])
    for (const page of [x, y, stays]) await until(() => broadcastsAt(page).includes('after'), 'it has what follows')
    t.notOk(broadcastsAt(x).includes('GAP'))
  })
}

/** The library's client, at the node that a test says. */
function clientAt (t: Test, first: WeatherNode) {
  let node = first
  const client = connect('http://anywhere/move', {
    retryMs: 10,
    retryMaxMs: 100,
    fetch: (url, init) => fetch(`${node.origin}${new URL(String(url)).pathname}`, init)
  })
  t.teardown(() => client.close())
  return { client, goTo: (other: WeatherNode) => { node = other } }
}

/** What Redis answers to a command of a new connection; nothing if there is none. */
function answerTo (command: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTo(server.port, '127.0.0.1', () => { socket.write(`${command}\r\n`) })
    socket.on('error', () => { resolve('') }).on('data', (bytes) => {
      socket.destroy()
      resolve(bytes.toString())
    })
  })
}

for (const fault of effort > 1 ? ['kill -9', 'SIGSTOP'] as const : ['kill -9'] as const) {
  t.test(`Redis is gone for longer than a lease, by ${fault}: streams stay, all else waits, and nothing is lost`, async (t) => {
    const [x, y, z] = await pages()
    const { client, goTo } = clientAt(t, a)
    const verdicts: string[] = []
    client.onState((_state, { verdict }) => { if (verdict !== undefined) verdicts.push(verdict) })
    await until(() => client.state === 'open', 'the client')
    await client.emit('say', { text: 'before' })
    const ref = client.session!
    if (fault === 'SIGSTOP') await server.freeze()
    else {
      const filling = server.admin.pipeline()
      for (let index = 0; index < 3_000; index++) filling.set(`junk:${index}`, 'x')
      await filling.exec()
      await server.kill()
    }
    for (const node of [a, b, c]) await node.isIn('isolated')
    refused(t, await post(a as never, x.session, say('x', 1), '/move'), 503, 'FST_ERR_TETHER_UNAVAILABLE', 'a POST')
    refused(t, await readWhole(b as never, '/move', counting(x.session, 0)), 503, 'FST_ERR_TETHER_UNAVAILABLE', 'nobody takes over')
    const waits = client.emit('say', { text: 'meanwhile' })
    for (const [at, node] of [a, b, c].entries()) await node.call('broadcast', '/move', labels(String(at), 20))
    t.equal(await a.call('send', '/move', x.session, 'own'), true)
    await until(() => x.all.includes('own'), 'a private update flows')
    t.strictSame(broadcastsAt(y), [], 'broadcasts wait')
    if (fault === 'SIGSTOP') server.thaw()
    else {
      const started = server.start()
      await until(async () => (await answerTo('PING')).startsWith('-LOADING'), 'Redis loads its file')
      refused(t, await readWhole(b as never, '/move', counting(x.session, 0)), 503, 'FST_ERR_TETHER_UNAVAILABLE', 'what loads is down, not empty')
      await started
      await Promise.all(Array.from({ length: 3_000 }, (_, index) => server.admin.del(`junk:${index}`)))
      await server.admin.bgrewriteaof()
    }
    goTo(b)
    for (const page of [x, y, z]) await page.comeTo(c)
    await site.isCalm()
    for (const page of [x, y, z]) await until(() => broadcastsAt(page).length >= 60, 'what waited')
    for (const page of [x, y, z]) t.strictSame(broadcastsAt(page).toSorted(), [0, 1, 2].flatMap((at) => labels(String(at), 20)).toSorted(), 'each once, and no gap')
    t.strictSame(broadcastsAt(y), broadcastsAt(z), 'one order')
    for (const page of [x, y, z]) t.strictSame(new Set(page.verdicts.slice(1)), new Set(['resumed']))
    await waits
    await until(() => client.state === 'open', 'the client is back')
    t.equal(client.session, ref)
    t.ok(verdicts.every((verdict, at) => verdict === (at === 0 ? 'new' : 'resumed')), `${verdicts}`)
    t.strictSame(await saidAnywhere(site, ref), ['before', 'meanwhile'], 'the event that waited counts once')
  })
}

t.test('more broadcasts than may wait while Redis is gone: the oldest are dropped, and every page gets a gap', async (t) => {
  const tabs = await pages()
  await server.kill()
  await a.isIn('degraded')
  await a.call('broadcast', '/move', labels('w', 500))
  t.match(await a.call('stats'), { queuedFrames: 300, dropped: 200 })
  await server.start()
  await site.isCalm()
  for (const page of tabs) {
    if (page.reader.closed) await page.comeTo(b)
    await until(() => broadcastsAt(page).includes('w:499'), 'the last')
    t.strictSame(broadcastsAt(page), ['GAP', ...labels('w', 300, 200)])
  }
})

t.test('Redis comes back empty: records are written again, frozen sessions expire, and nothing is lost in silence', async (t) => {
  const tabs = await pages()
  const [x, y] = tabs
  const frozen = await Tab.open(c, { path: '/detach' })
  const frozenSession = frozen.session
  await post(c as never, frozenSession, say('kept', 1), '/detach')
  await freeze(frozen)
  const loads = [a, b, c]
  for (const [at, node] of loads.entries()) await node.call('load', '/move', `l${at}`, 5)
  await until(() => tabs.every((page) => broadcastsAt(page).length > 30), 'the load')
  await server.admin.flushall()
  await server.kill()
  await server.start()
  const kept = x.session
  const asked = x.comeTo(b)
  t.equal(await frozen.comeTo(a), 'expired')
  t.ok(['resumed', 'gap'].includes(await asked), 'its node has written its record again')
  t.equal(x.session, kept)
  await until(() => tabs.every((page) => broadcastsAt(page).length > 60), 'the load goes on')
  const counts = await Promise.all(loads.map((node) => node.call('stopLoad')))
  for (const node of loads) await node.call('synced', '/move')
  await a.call('broadcast', '/move', ['end'])
  for (const page of tabs) {
    await until(() => broadcastsAt(page).includes('end'), 'the end')
    for (const at of [0, 1, 2]) {
      const got = broadcastsAt(page).filter((text) => text === 'GAP' || text.startsWith(`l${at}:`))
      t.ok(holesAreTold(got, labels(`l${at}`, counts[at]!)), `each hole in the broadcasts of ${at} is told`)
    }
  }
  t.match(await post(a as never, y.session, say('x', 1), '/move'), { status: 202 })
  t.notOk((await Promise.all(loads.map((node) => node.call('hooks')))).flat().some((hook) => hook === `onClose ${refOf(frozenSession)}`), 'no hook of the frozen one')
})

t.test('a node is killed: its sessions are told within a lease, and those in the engine go on', async (t) => {
  const [x, , z] = await pages()
  const never = await Tab.open(c, { path: '/never' })
  const away = await Tab.open(c, { path: '/detach' })
  await post(c as never, away.session, say('kept', 1), '/detach')
  await freeze(away)
  await c.kill()
  const killedAt = performance.now()
  const posted = post(a as never, z.session, say('lost', 1), '/move').then((answer) => ({ ...answer, ms: performance.now() - killedAt }))
  const asked = z.goTo(b).then(() => performance.now() - killedAt)
  t.equal(await away.comeTo(a), 'resumed')
  t.ok(performance.now() - killedAt < leaseMs, 'nobody waits for a dead node to give a session that the engine has')
  t.strictSame(await a.call('said', '/detach', away.session), ['kept'])
  t.equal(await never.comeTo(a), 'expired')
  const waited = await asked
  t.equal(z.verdicts.at(-1), 'expired', 'told by the first request, though its node was alive for the others when it came')
  t.ok(waited < handoverMs, `after ${Math.round(waited)} ms, and not after all of handoverMs`)
  const answer = await posted
  t.ok([404, 410, 503].includes(answer.status), `the event is refused: ${answer.status}`)
  await until(async () => (await post(a as never, z.session, say('lost', 1), '/move')).status === 404, 'later with a word that it is gone')
  await site.isCalm()
  await a.call('broadcast', '/move', ['after'])
  await until(() => broadcastsAt(x).at(-1) === 'after', 'the others go on')
  t.notOk(broadcastsAt(x).includes('GAP'))
})
