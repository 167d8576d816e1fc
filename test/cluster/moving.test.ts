// Sessions that move between nodes, over real sockets.
import t, { type Test } from 'tap'
import type { Engine, EngineSource } from '../../plugin/cluster/engine.ts'
import { memory, type MemoryPassage } from '../../plugin/entries/memory.ts'
import { counting, exactly } from '../e2e/harness/claim.ts'
import type { LiveConfig } from '../e2e/harness/live.ts'
import { openReader, startReader } from '../e2e/harness/reader.ts'
import { refused } from '../e2e/harness/refusal.ts'
import { post, readWhole, request } from '../e2e/harness/request.ts'
import { until } from '../e2e/harness/until.ts'
import { openSocket } from '../e2e/harness/web-socket.ts'
import { LateReader } from './harness/late-reader.ts'
import { seen, startNode, startNodes } from './harness/nodes.ts'
import { keeping, saidAt, Tab } from './harness/tabs.ts'

const say = (text: string, seq?: number) => ({ event: 'say', data: { text }, ...seq === undefined ? {} : { seq } })

/** Counts the hooks that run, by node. */
function hookLog (): { hooks: string[], live: LiveConfig } {
  const hooks: string[] = []
  const note = (name: string) => (_session: unknown, detail: unknown) => { hooks.push(`${name} ${typeof detail === 'string' ? detail : ''}`.trim()) }
  return { hooks, live: { ...keeping, onDisconnect: note('onDisconnect'), onClose: note('onClose'), onJoin: note('onJoin'), onLeave: note('onLeave') } }
}

for (const isCounting of [true, false]) {
  t.test(`a stream goes from node to node, and misses nothing and doubles nothing: ${isCounting ? 'counting' : 'with ids'}`, async (t) => {
    const { nodes } = await startNodes(t, 3, { live: keeping })
    const tab = await Tab.open(nodes[0]!, { isCounting })
    const still = await Tab.open(nodes[1]!)
    let count = 0
    const broadcast = () => { for (const { live } of nodes) live.broadcast('note', { text: `${count++}` }) }
    nodes[0]!.live.group('some').add(nodes[0]!.live.get(tab.session)!)
    for (let round = 0; round < 12; round++) {
      broadcast()
      const node = nodes[(round + 1) % 3]!
      const going = tab.goTo(node, { isCut: round % 2 === 0 })
      for (let call = 0; call < 5; call++) {
        broadcast()
        await new Promise(setImmediate)
      }
      await going
      await until(() => node.live.get(tab.session), 'the session')
      node.live.group('some').broadcast('note', { text: `group ${round}` })
      node.live.get(tab.session)!.send('note', { text: `private ${round}` })
    }
    await until(() => still.all.length === count && tab.all.length === count + 24, 'all updates')
    t.strictSame(tab.all.filter((text) => /^\d/.test(text)), still.all, 'the order of the log')
    t.strictSame(tab.all.filter((text) => text.startsWith('private')), Array.from({ length: 12 }, (_, round) => `private ${round}`))
    t.strictSame(tab.all.filter((text) => text.startsWith('group')), Array.from({ length: 12 }, (_, round) => `group ${round}`))
    t.strictSame(new Set(tab.verdicts.slice(1)), new Set(['resumed']))
    t.equal(nodes.filter(({ live }) => live.get(tab.session) !== undefined).length, 1)
  })
}

for (const isCounting of [true, false]) {
  t.test(`a node that reads the log late takes no session whose place it has not come to: ${isCounting ? 'counting' : 'with ids'}`, async (t) => {
    const hub = memory({ deadlineMs: 300 })
    const late = new LateReader(hub)
    const cluster = { handoverMs: 300 }
    const [one, two, three] = [await startNode(t, hub, { live: keeping, cluster }), await startNode(t, late, { live: keeping, cluster }), await startNode(t, hub, { live: keeping, cluster })]
    const nodes = [one, two, three]
    await until(() => nodes.every((node) => node.cluster.nodes().length === 3 && node.cluster.status === 'ready'), 'all nodes')
    const tab = await Tab.open(one, { isCounting })
    late.stop()
    let count = 0
    const broadcast = () => { one.live.broadcast('note', { text: `${count++}` }) }
    broadcast()
    broadcast()
    await until(() => tab.all.length === 2, 'what the late node has not read')
    await tab.goTo(two)
    t.notOk(tab.verdicts.includes('gap'))
    t.equal(two.live.get(tab.session), undefined, 'it does not take the session')
    broadcast()
    t.equal(await tab.comeTo(three), 'resumed', 'another node does')
    const restored = tab.comeTo(two)
    await until(() => three.live.get(tab.session) === undefined, 'the session has left')
    broadcast()
    late.goOn()
    t.equal(await restored, 'resumed')
    broadcast()
    await until(() => tab.all.length >= count, 'all updates')
    t.strictSame(tab.all, Array.from({ length: count }, (_, number) => `${number}`), 'each once')
  })
}

t.test('a stream that is still open where the session was says goodbye', async (t) => {
  const { hooks, live } = hookLog()
  const { nodes: [one, two] } = await startNodes(t, 2, { live })
  const tab = await Tab.open(one!)
  one!.live.group('some').add(one!.live.get(tab.session)!)
  const { reader } = tab
  await tab.goTo(two!, { isCut: false })
  await until(() => reader.ended, 'the end of the old stream')
  t.match(reader.controls.at(-1), { type: 'goodbye', reason: 'replaced', reconnect: false })
  t.strictSame(hooks, ['onJoin some', 'onDisconnect moved'])
  // A browser whose stream was replaced must stop its retries, wherever it asks.
  t.equal((await readWhole(one!, '/live', exactly(tab.session, 'taken'))).status, 204)
})

t.test('events reach the session from any node, once and in order', async (t) => {
  const { nodes: [one, two, three] } = await startNodes(t, 3, { live: keeping })
  const { session } = await Tab.open(one!)
  t.match(await post(two!, session, say('a', 1)), { status: 202, json: { seq: 1 } })
  t.match(await post(two!, session, say('a', 1)), { status: 202, json: { seq: 1 }, headers: { 'x-tether-known': '1' } })
  t.match(await post(three!, session, [say('b', 2), say('c', 3)]), { status: 202, json: { seq: 3 } })
  const skipping = await post(two!, session, say('e', 5))
  refused(t, skipping, 409, 'FST_ERR_TETHER_SEQUENCE', 'a skipped number')
  t.match(skipping.json, { expected: 4 })
  const wrong = await post(two!, session, { event: 'say', data: { text: 5 } })
  refused(t, wrong, 400, 'FST_ERR_VALIDATION', 'wrong data')
  t.match(wrong.json, { errors: [{ path: '/data/text' }] })
  const form = await request(three!, '/live/say', { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: `tether-session=${session}&text=form` })
  t.equal(form.status, 204)
  refused(t, await post(two!, 'a'.repeat(24), say('x')), 404, 'FST_ERR_TETHER_SESSION_NOT_FOUND', 'no such session')
  await until(() => saidAt(one!, session).length === 4, 'all events')
  t.strictSame(saidAt(one!, session), ['a', 'b', 'c', 'form'])
  t.equal(two!.live.get(session), undefined, 'it stays where it is')
})

t.test('an event that comes while a session moves leaves it where its page opens its stream', async (t) => {
  const names: string[] = []
  let isSlow = false
  let asks = 0
  const weather = ({ node, what, isAnswer }: MemoryPassage) => {
    if (!isSlow || isAnswer) return 0
    if (what === 'put' && node === names[1]) return 150
    return what === 'send' && node === names[2] && asks++ === 0 ? 400 : 0
  }
  const { nodes: [one, two, three] } = await startNodes(t, 3, { live: keeping }, { weather, deadlineMs: 2_000 })
  for (const { cluster } of [one!, two!, three!]) names.push(cluster.node)
  const tab = await Tab.open(one!)
  isSlow = true
  const going = tab.goTo(two!)
  await until(() => one!.live.get(tab.session) === undefined, 'the session has left')
  // The third node reads that it is on its way to the second, and asks that one when the stream is open there.
  const posted = post(three!, tab.session, say('a', 1))
  await going
  isSlow = false
  t.match(await posted, { status: 202, json: { seq: 1 } })
  await until(() => saidAt(two!, tab.session).length === 1, 'the event')
  t.equal(three!.live.get(tab.session), undefined)
  t.notOk(tab.reader.ended, 'its stream goes on')
  t.strictSame(tab.verdicts, ['new', 'resumed'])
})

/** A session at one node, and a GET for it at the other, which reads the record slowly until `hurry`. */
async function askSlowly (t: Test) {
  const names: string[] = []
  let isSlow = false
  const weather = ({ node, what }: MemoryPassage) => isSlow && what === 'get' && node === names[1] ? 150 : 0
  const { nodes: [one, two] } = await startNodes(t, 2, { live: keeping }, { weather, deadlineMs: 2_000 })
  for (const { cluster } of [one!, two!]) names.push(cluster.node)
  const tab = await Tab.open(one!)
  isSlow = true
  let isAsked = false
  two!.app.server.once('request', () => { isAsked = true })
  const early = startReader(two!, '/live', { headers: counting(tab.session, 0) })
  await until(() => isAsked, 'the request')
  return { one: one!, two: two!, tab, early, hurry: () => { isSlow = false } }
}

t.test('a request whose client has left does not take the session from a later stream', async (t) => {
  const { one, two, tab, early } = await askSlowly(t)
  early.destroy()
  await tab.goTo(one)
  // The second node answers in the order of the requests.
  t.match(await post(two, tab.session, say('a', 1)), { status: 202, json: { seq: 1 } })
  t.strictSame(saidAt(one, tab.session), ['a'])
  t.equal(two.live.get(tab.session), undefined)
  t.notOk(tab.reader.ended, 'its stream goes on')
})

t.test('a node whose lease has run out meanwhile does not take the session', async (t) => {
  const names: string[] = []
  let isSlow = false
  const weather = ({ node, what, isAnswer }: MemoryPassage) => {
    if (!isSlow || isAnswer || node !== names[1]) return 0
    return what === 'renew' ? 'lost' : what === 'get' ? 1_200 : 0
  }
  const { nodes: [one, two] } = await startNodes(t, 2, { live: keeping, cluster: { leaseMs: 900 } }, { weather, deadlineMs: 5_000 })
  for (const { cluster } of [one!, two!]) names.push(cluster.node)
  const tab = await Tab.open(one!)
  isSlow = true
  const answer = await readWhole(two!, '/live', counting(tab.session, 0))
  refused(t, answer, 503, 'FST_ERR_TETHER_UNAVAILABLE', 'no lease')
  t.ok(one!.live.get(tab.session), 'the session stays')
  t.notOk(tab.reader.ended, 'its stream goes on')
})

t.test('a request does not take the session from a stream that came later', async (t) => {
  // Its end is not known yet, as on a line that was cut.
  const { one, two, tab, early, hurry } = await askSlowly(t)
  await tab.goTo(one)
  await early.opened
  t.equal(early.status, 503)
  t.equal(two.live.get(tab.session), undefined)
  t.notOk(tab.reader.ended, 'its stream goes on')
  hurry()
  await tab.goTo(two)
  t.strictSame(tab.verdicts, ['new', 'resumed', 'resumed'], 'a request that comes later takes it')
})

t.test('a page that leaves ends its session from any node', async (t) => {
  const { nodes: [one, two] } = await startNodes(t, 2, { live: keeping })
  const tab = await Tab.open(one!)
  tab.reader.destroy()
  t.equal((await request(two!, '/live/tether.close', { method: 'POST', headers: { 'x-tether-session': tab.session } })).status, 202)
  await until(() => one!.live.get(tab.session) === undefined, 'the end of the session')
  await tab.goTo(two!)
  t.equal(tab.verdicts.at(-1), 'expired')
})

t.test('a session that was closed for good is so on every node', async (t) => {
  const { nodes: [one, two] } = await startNodes(t, 2, { live: keeping })
  const { session } = await Tab.open(one!)
  await one!.live.get(session)!.close('done')
  t.equal((await readWhole(two!, '/live', counting(session, 0))).status, 204)
  refused(t, await post(two!, session, say('x', 1)), 410, 'FST_ERR_TETHER_SESSION_CLOSED', 'closed')
})

t.test('nobody takes the session of somebody else', async (t) => {
  const bind: LiveConfig['bind'] = (request) => request.headers['x-user'] as string
  const { nodes: [one, two] } = await startNodes(t, 2, { live: { ...keeping, bind } })
  const tab = await Tab.open(one!, { headers: { 'x-user': 'mine' } })
  const other = await openReader(two!, '/live', { headers: { ...counting(tab.session, 0), 'x-user': 'other' } })
  await until(() => other.controls.length > 0, 'the hello')
  t.match(other.controls[0], { verdict: 'expired' })
  t.not(other.session, tab.session)
  const posted = await request(two!, '/live', { method: 'POST', headers: { 'x-tether-session': tab.session, 'x-user': 'other' }, body: say('x', 1) })
  refused(t, posted, 403, 'FST_ERR_TETHER_BINDING', 'somebody else')
  t.ok(one!.live.get(tab.session))
  await tab.goTo(two!, { headers: { 'x-user': 'mine' } })
  t.equal(tab.verdicts.at(-1), 'resumed')
})

t.test('a handler that runs for longer keeps the session where it is', async (t) => {
  let release!: () => void
  const held = new Promise<void>((resolve) => { release = resolve })
  const { nodes: [one, two] } = await startNodes(t, 2, { live: { ...keeping, on: { ...keeping.on, ping: () => held } }, cluster: { handoverMs: 100 } })
  const tab = await Tab.open(one!)
  await post(one!, tab.session, { event: 'ping', data: {}, seq: 1 })
  const turnedAway = await readWhole(two!, '/live', counting(tab.session, 0))
  refused(t, turnedAway, 503, 'FST_ERR_TETHER_UNAVAILABLE', 'not now')
  t.equal(turnedAway.headers['retry-after'], '1')
  // A browser's EventSource gives up after a status.
  const ended = await readWhole(two!, '/live', exactly(tab.session, 0))
  t.equal(ended.status, 200)
  t.match(ended.text, /^retry: \d+\n/)
  t.match(ended.text, /"reason":"unavailable","reconnect":true/)
  t.ok(one!.live.get(tab.session))
  t.equal((await post(one!, tab.session, say('goes on', 2))).status, 202)
  release()
  await tab.goTo(two!)
  t.equal(tab.verdicts.at(-1), 'resumed')
  t.strictSame(saidAt(two!, tab.session), ['goes on'])
})

t.test('a hook that never ends does not lose its session at a drain', async (t) => {
  for (const hook of ['onFreeze', 'onDisconnect'] as const) {
    const { nodes: [one, two] } = await startNodes(t, 2, { live: { ...keeping, [hook]: () => new Promise(() => {}), handlerTimeoutMs: 60_000 } })
    const tab = await Tab.open(one!)
    await post(one!, tab.session, say('a', 1))
    await one!.app.tether.drain({ timeoutMs: 2_000, retryMs: 0, spreadMs: 0 })
    await tab.goTo(two!)
    t.equal(tab.verdicts.at(-1), 'resumed', hook)
    t.strictSame(saidAt(two!, tab.session), ['a'])
  }
})

t.test('a drain freezes the sessions, and their pages go on elsewhere', async (t) => {
  const { hooks, live } = hookLog()
  const { nodes: [one, two, three] } = await startNodes(t, 3, { live })
  const tabs = await Promise.all(Array.from({ length: 20 }, () => Tab.open(one!)))
  for (const { session } of tabs) await post(two!, session, say('before', 1))
  two!.live.broadcast('note', { text: 'before' })
  await until(() => tabs.every(({ all }) => all.length === 1), 'the first update')
  await one!.app.tether.drain({ retryMs: 0, spreadMs: 0 })
  await until(() => tabs.every(({ reader }) => reader.ended), 'the end of the streams')
  t.match(tabs[0]!.reader.controls.at(-1), { type: 'goodbye', reason: 'draining', reconnect: true })
  two!.live.broadcast('note', { text: 'between' })
  await one!.app.close()
  for (const [index, tab] of tabs.entries()) {
    if (index % 2 === 0) t.match(await post(three!, tab.session, say('between', 2)), { status: 202, json: { seq: 2 } })
    await tab.goTo(index % 3 === 0 ? two! : three!)
  }
  three!.live.broadcast('note', { text: 'after' })
  await until(() => tabs.every(({ all }) => all.length === 3), 'all updates')
  for (const { all, verdicts } of tabs) {
    t.strictSame(all, ['before', 'between', 'after'])
    t.equal(verdicts.at(-1), 'resumed')
  }
  t.notOk(hooks.some((hook) => hook.startsWith('onClose')), 'a move is no end')
  t.strictSame(saidAt([two!, three!].find(({ live }) => live.get(tabs[0]!.session) !== undefined)!, tabs[0]!.session), ['before', 'between'])
})

t.test('a close of the application freezes, too; a node that starts later knows what it missed', async (t) => {
  const { hub, nodes: [one, two] } = await startNodes(t, 2, { live: keeping })
  const tab = await Tab.open(one!)
  await one!.app.close()
  two!.live.broadcast('note', { text: 'between' })
  await two!.live.synced()
  await two!.app.close()
  const three = await startNode(t, hub, { live: keeping })
  await until(() => three.cluster.status === 'ready', 'the new node')
  await tab.goTo(three)
  await until(() => tab.all.length > 0, 'the update')
  t.strictSame(tab.all, ['between'])
  t.equal(tab.verdicts.at(-1), 'resumed')
})

t.test('without its lease a node refuses, says so, and serves again', async (t) => {
  const { hub, nodes: [one, two] } = await startNodes(t, 2, { live: keeping, cluster: { leaseMs: 300, isolatedMs: 300 } })
  const tab = await Tab.open(one!)
  const { reader } = tab
  hub.cut(one!.cluster.node)
  await until(() => one!.cluster.status === 'isolated', 'the end of the lease')
  refused(t, await post(one!, tab.session, say('x', 1)), 503, 'FST_ERR_TETHER_UNAVAILABLE', 'a POST')
  refused(t, await readWhole(one!, '/live', counting(tab.session, 0)), 503, 'FST_ERR_TETHER_UNAVAILABLE', 'a GET')
  t.match((await readWhole(one!)).text, /"reason":"unavailable"/)
  t.notOk(reader.ended)
  await until(() => reader.ended, 'the goodbye')
  t.match(reader.controls.at(-1), { type: 'goodbye', reason: 'isolated', reconnect: true })
  hub.mend(one!.cluster.node)
  await until(() => one!.cluster.status === 'ready', 'the new lease')
  // On a busy machine a lease of 300 ms may run out again.
  await until(async () => (await post(one!, tab.session, say('x', 1))).status === 202, 'the event')
  await tab.goTo(two!)
  t.equal(tab.verdicts.at(-1), 'resumed')
})

t.test('sessions that never leave their node cost no record', async (t) => {
  const puts: string[] = []
  const hub = memory()
  const engine: EngineSource = {
    engineFor (application) {
      const made: Engine = hub.engineFor(application)
      const put = made.put.bind(made)
      return Object.assign(made, { put: async (...args: Parameters<Engine['put']>) => { puts.push(args[0]); return await put(...args) } })
    }
  }
  const one = await startNode(t, engine, { live: { persist: 'never' } })
  const two = await startNode(t, engine, { live: { persist: 'never' } })
  const tab = await Tab.open(one)
  refused(t, await post(two, tab.session, say('x', 1)), 404, 'FST_ERR_TETHER_SESSION_NOT_FOUND', 'not there')
  await tab.goTo(two)
  t.equal(tab.verdicts.at(-1), 'expired')
  t.strictSame(puts, [])
})

t.test('no id of a session reaches the engine', async (t) => {
  const bytes: string[] = []
  const hub = memory()
  const engine: EngineSource = {
    engineFor (application) {
      const made: Engine = hub.engineFor(application)
      for (const name of ['append', 'send', 'put', 'renew'] as const) {
        const call = made[name].bind(made) as (...args: unknown[]) => Promise<never>
        Object.assign(made, { [name]: async (...args: unknown[]) => { bytes.push(...args.map(String)); return await call(...args) } })
      }
      return made
    }
  }
  const [one, two] = await Promise.all([0, 1].map(() => startNode(t, engine, { live: keeping })))
  await until(() => one!.cluster.nodes().length === 2 && two!.cluster.nodes().length === 2, 'both')
  const tab = await Tab.open(one!, { isCounting: false })
  await request(two!, '/live', { method: 'POST', headers: { 'x-tether-session': tab.session, ...exactly(tab.session, 0) }, body: say('a', 1) })
  await request(two!, '/live/say', { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: `tether-session=${tab.session}&text=form` })
  one!.live.group('g').broadcastExcept(one!.live.get(tab.session)!, 'note', { text: 'x' })
  await tab.goTo(two!)
  await two!.app.close()
  const claim = await one!.live.prepare({ ip: '127.0.0.1', headers: {} } as never)
  const prepared = [...one!.live.sessions].map(({ id }) => id)
  t.equal(prepared.length, 1)
  t.ok(bytes.length > 10)
  for (const secret of [tab.session, claim!, ...prepared]) t.notOk(bytes.some((text) => text.includes(secret)))
})

t.test('a WebSocket finds its session on any node', async (t) => {
  const { nodes: [one, two] } = await startNodes(t, 2, { live: { ...keeping, mode: 'both' } })
  const first = await openSocket(one!, '/live')
  first.send({ session: 'new' })
  await until(() => first.controls.length > 0, 'the hello')
  t.match(await first.ask(say('a', 1)), { status: 202, seq: 1 })
  one!.live.broadcast('note', { text: 'before' })
  await until(() => seen(first).length === 1, 'the update')
  const second = await openSocket(two!, '/live')
  second.send({ session: first.session, lastEventId: `${first.session}.1` })
  await until(() => second.controls.length > 0, 'the hello')
  t.match(second.controls[0], { verdict: 'resumed' })
  t.match(await second.ask(say('b', 2)), { status: 202, seq: 2 })
  await until(() => first.closed, 'the end of the first')
  t.equal(first.closeCode, 4409)
  t.strictSame(saidAt(two!, first.session), ['a', 'b'])
  // The same session by a POST and by an event stream elsewhere.
  t.match(await post(one!, first.session, say('c', 3)), { status: 202, json: { seq: 3 } })
  const third = await openReader(one!, '/live', { headers: counting(first.session, 1) })
  await until(() => third.controls.length > 0, 'the hello')
  t.match(third.controls[0], { verdict: 'resumed', accepted: 3 })
})

t.test('the same over HTTP/2', async (t) => {
  const { nodes: [one, two] } = await startNodes(t, 2, { live: keeping, protocol: 'h2c' })
  const tab = await Tab.open(one!)
  t.equal((await post(two!, tab.session, say('a', 1))).status, 202)
  await tab.goTo(two!)
  t.equal(tab.verdicts.at(-1), 'resumed')
  t.strictSame(saidAt(two!, tab.session), ['a'])
})

t.test('a prepared session comes to the node that its page asks', async (t) => {
  const live: LiveConfig = { ...keeping, initialState: (request) => ({ said: [(request.query as { page?: string }).page ?? 'none'] }) }
  const setup = (app: import('fastify').FastifyInstance) => { app.get('/page', async (request) => (app as unknown as { prepared: (request: unknown) => Promise<string> }).prepared(request)) }
  const { nodes: [one, two, three] } = await startNodes(t, 3, { live, setup })
  Object.assign(one!.app, { prepared: (request: never) => one!.live.prepare(request) })
  const claim = (await request(one!, '/page?page=home')).text
  const reader = await openReader(two!, `/live?tether-session=${claim}`, { headers: { 'x-tether-session': 'new' } })
  await until(() => reader.controls.length > 0, 'the hello')
  t.match(reader.controls[0], { verdict: 'new' })
  t.not(reader.session, claim)
  t.strictSame(saidAt(two!, reader.session), ['home'])
  for (const node of [one!, two!, three!]) {
    const again = await openReader(node, `/live?tether-session=${claim}&page=other`)
    await until(() => again.controls.length > 0, 'the hello')
    t.match(again.controls[0], { verdict: 'expired' }, 'it is good once')
  }
  const other = (await request(one!, '/page?page=second')).text
  await one!.app.tether.drain({ retryMs: 0, spreadMs: 0 })
  const late = await openReader(three!, `/live?tether-session=${other}`, { headers: { 'x-tether-session': 'new' } })
  await until(() => late.controls.length > 0, 'the hello')
  t.match(late.controls[0], { verdict: 'new' })
  t.strictSame(saidAt(three!, late.session), ['second'])
})
