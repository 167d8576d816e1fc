import t, { type Test } from 'tap'
import type { AddressInfo } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'
import { webSocketLink, type WebSocketLinkOptions } from '../../client/websocket-link.ts'
import type { ConnectOptions } from '../../client/index.ts'
import { range } from '../e2e/harness/rows.ts'
import { startLive, type LiveOptions } from '../e2e/harness/live.ts'
import { turns, until, within } from '../e2e/harness/until.ts'
import { startUpgradeProxy, type Conduct } from '../e2e/harness/upgrade-proxy.ts'
import { connectTo } from './harness.ts'

const Class = WebSocket as unknown as NonNullable<WebSocketLinkOptions['WebSocket']>

async function start (t: Test, conduct: Conduct, { live = {}, link = {}, connect = {} }: { live?: LiveOptions, link?: WebSocketLinkOptions, connect?: ConnectOptions } = {}) {
  const protocols: string[] = []
  const said: string[] = []
  const server = await startLive(t, {
    ...live,
    live: {
      mode: 'both',
      ...live.live,
      onConnect: (_session, { protocol }) => { protocols.push(protocol) },
      on: { say: (session, { text }) => { said.push(text); session.send('note', { text }) } }
    }
  })
  const proxy = await startUpgradeProxy(t, server, conduct)
  const rig = connectTo(t, server, proxy.port, { link: webSocketLink({ WebSocket: Class, openTimeoutMs: 1_500, ...link }), ...connect })
  const rows: number[] = []
  rig.client.on('row', (row) => rows.push(Number(row)))
  return { server, proxy, protocols, said, rows, ...rig }
}

t.test('a WebSocket carries all, and no request is made beside it', async (t) => {
  const { client, server, proxy, protocols, said, rows, sent, session, became } = await start(t, { pass: true })
  await became('open')
  const live = await session()
  for (const row of range(1, 100)) live.send('row', String(row))
  await Promise.all(range(1, 100).map((number) => client.emit('say', { text: String(number) })))
  await until(() => rows.length === 100 && said.length === 100, 'all rows and events')
  t.same(rows, range(1, 100))
  t.same(said.map(Number), range(1, 100))
  await t.rejects(client.emit('say', { text: 5 } as never), { code: 'FST_ERR_VALIDATION', errors: [{ path: '/data/text' }] })
  await client.emit('say', { text: 'after' })
  t.same(sent, [], 'no fetch')
  t.same(protocols, ['websocket'])
  t.equal(proxy.upgrades, 1)
  client.close()
  await until(() => server.live.stats.connected === 0, 'the end')
})

t.test('where no WebSocket gets through, an event stream does, within a bounded time', async (t) => {
  for (const [what, conduct] of Object.entries({ 'refused with 403': { status: 403 }, 'refused with 400': { status: 400 }, 'accepted and swallowed': { swallow: true }, 'never answered': { hang: true } } as Record<string, Conduct>)) {
    const stored = new Map<string, string>()
    const storage = { getItem: (key: string) => stored.get(key) ?? null, setItem: (key: string, value: string) => { stored.set(key, value) } }
    const startedAt = performance.now()
    const { client, server, proxy, protocols, said, rows, session, became } = await start(t, conduct, { link: { storage } })
    await became('open')
    t.ok(performance.now() - startedAt < 30_000, what)
    t.same(protocols, ['http/1.1'], what)
    const live = await session()
    live.send('row', '1')
    await client.emit('say', { text: what })
    await until(() => rows.length === 1 && said.length === 1, 'a row and an event')
    t.equal(proxy.upgrades, 1)
    // It comes back without trying again.
    live.close('again', { reconnect: true })
    await became('open', 2)
    t.equal(proxy.upgrades, 1, 'remembered')
    t.equal(stored.size, 1)
    const next = connectTo(t, server, proxy.port, { link: webSocketLink({ WebSocket: Class, storage }) })
    await next.became('open')
    t.equal(proxy.upgrades, 1, 'and by the next page too')
    next.client.close()
  }
})

t.test('an iteration that takes nothing lets the stream go, and gets all of it in the end', async (t) => {
  const { client, protocols, said, states, session, became } = await start(t, { pass: true }, {
    live: { live: { queueFrames: 10_000, queueBytes: 100_000_000, replayFrames: 10_000, replayBytes: 100_000_000 }, tether: { maxBufferedBytes: 1_000_000_000 } }
  })
  const iteration = client.updates('row')
  const first = iteration.next()
  await became('open')
  const live = await session()
  const many = 1_000
  const row = (number: number) => String(number).padStart(20_000, '0')
  for (let number = 1; number <= many; number++) {
    live.send('row', row(number))
    if (number % 10 === 0) await turns(2)
  }
  await until(() => !live.connected, 'the end of the stream')
  t.equal(states.filter(([state]) => state === 'waiting').length, 0, 'what came is taken first')
  t.ok(live.stats.framesWritten < many, 'not all of it came')
  const event = client.emit('say', { text: 'meanwhile' })
  t.equal((await first).value, row(1))
  for (let number = 2; number <= many; number++) {
    const { value } = await within(iteration.next(), `row ${number}`)
    if (value !== row(number)) return t.fail(`row ${number}`)
  }
  await within(event, 'the event')
  t.same(said, ['meanwhile'])
  t.same(protocols, protocols.map(() => 'websocket'), 'a WebSocket is what it comes back by')
  t.ok(protocols.length > 1)
  t.equal(live.stats.dropped, 0)
  t.match(states.filter(([state]) => state === 'open').slice(1).map(([, { verdict }]) => verdict), protocols.slice(1).map(() => 'resumed'))
  await iteration.return()
})

/** The class, of which each first message goes at once, and all others when `letGo` is called. */
function hesitant () {
  const held: Array<() => void> = []
  class Hesitant extends WebSocket {
    isClaimed = false
    override send (message: string) {
      if (this.isClaimed) held.push(() => super.send(message))
      else super.send(message)
      this.isClaimed = true
    }
  }
  return { Hesitant: Hesitant as unknown as typeof Class, held, letGo: () => { for (const go of held.splice(0)) go() } }
}

// The server keeps what is on its way at most: what a page gives up of what it has got would be a gap.
const forgetful = { live: { queueFrames: 10_000, queueBytes: 100_000_000, replayFrames: 40, replayBytes: 100_000_000 }, tether: { maxBufferedBytes: 1_000_000_000 } }

for (const [how, many, characters] of [
  ['by the client, since too much of it waits', 200, 100_000],
  ['by the client, since an answer takes too long', 600, 100],
  ['by the network', 600, 100]
] as const) {
  t.test(`what waits for an iteration is given to it when the WebSocket is lost with an event on its way: ${how}`, async (t) => {
    const { Hesitant, held } = hesitant()
    let received = 0
    class Counting extends (Hesitant as unknown as typeof WebSocket) {
      constructor (url: string) {
        super(url)
        this.on('message', (data) => { received += String(data).length })
      }
    }
    const { client, proxy, said, states, session, became } = await start(t, { pass: true }, {
      live: forgetful,
      link: { WebSocket: Counting as unknown as typeof Class },
      connect: { requestTimeoutMs: how.includes('answer') ? 3_000 : 15_000 }
    })
    const iteration = client.updates('row')
    const first = iteration.next()
    await became('open')
    const live = await session()
    const row = (number: number) => String(number).padStart(characters, '0')
    const event = client.emit('say', { text: 'held up' })
    await until(() => held.length > 0, 'the event')
    for (let number = 1; number <= many; number++) {
      live.send('row', row(number))
      await turns(2)
    }
    if (!how.includes('too much')) await until(() => received > many * characters, 'all rows')
    if (how.includes('network')) proxy.cut()
    await until(() => !live.connected, 'the end of the stream')
    // By another way, and before the iteration moves: who iterates may wait for it.
    await within(event, 'the event')
    t.same(said, ['held up'])
    t.equal(states.filter(([state]) => state === 'waiting').length, 0, 'what came is taken first')
    t.equal((await first).value, row(1))
    let last = 1
    while (last < many) {
      const { value } = await within(iteration.next(), `row ${last + 1}`)
      if (value !== row(++last)) return t.fail(`row ${last} of ${many}, got ${String(value).slice(-5)}`)
    }
    await became('open', 2)
    t.same(states.filter(([state]) => state === 'open').slice(1).map(([, { verdict }]) => verdict).filter((verdict) => verdict !== 'resumed'), [])
    live.send('row', 'last')
    t.equal((await within(iteration.next(), 'the last')).value, 'last')
    t.same(said, ['held up'])
    await iteration.return()
  })
}

t.test('an iteration that waits for an event at each step comes to its end', async (t) => {
  const { client, said, session, became } = await start(t, { pass: true }, { live: forgetful })
  await became('open')
  const live = await session()
  const many = 200
  const taken: number[] = []
  const all = (async () => {
    for await (const row of client.updates('row')) {
      taken.push(Number(row))
      await client.emit('say', { text: String(taken.length) })
      if (taken.length === many) return
    }
  })()
  await turns()
  for (let number = 1; number <= many; number++) live.send('row', String(number).padStart(100_000, '0'))
  await within(all, 'all of it')
  t.same(taken, range(1, many))
  t.same(said.map(Number), range(1, many))
})

/** A WebSocket server that is none of ours. */
async function startOther (t: Test, onSocket: (socket: WebSocket) => void): Promise<number> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  server.on('connection', (socket) => {
    socket.on('error', () => {})
    onSocket(socket)
  })
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const others: Record<string, (socket: WebSocket) => void> = {
  'says something else': (socket) => socket.send('Welcome!'),
  'says something else each second': (socket) => { const timer = setInterval(() => socket.send('{"type":"tick"}'), 1_000); socket.on('close', () => clearInterval(timer)); socket.send('{"type":"hello"}') },
  'says something empty': (socket) => socket.send(''),
  'speaks Engine.IO': (socket) => socket.send('0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":[],"pingInterval":25000,"pingTimeout":20000}'),
  'sends events of another kind': (socket) => socket.send('event: message\ndata: {"type":"hello"}\n\n'),
  'sends binary': (socket) => socket.send(Buffer.from([0, 1, 2, 255])),
  'sends what it gets': (socket) => { socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary })) },
  'says nothing': () => {},
  'closes at once': (socket) => socket.close(1000),
  'closes at once, as "come no more"': (socket) => socket.close(4410, 'closed'),
  'closes on the first message': (socket) => { socket.on('message', () => socket.close(1003)) },
  'breaks at once': (socket) => socket.terminate()
}

for (const [what, onSocket] of Object.entries(others)) {
  t.test(`what answers is no server of ours, and ${what}: an event stream comes instead`, async (t) => {
    const stored = new Map<string, string>()
    const storage = { getItem: (key: string) => stored.get(key) ?? null, setItem: (key: string, value: string) => { stored.set(key, value) } }
    const elsewhere = await startOther(t, onSocket)
    const { client, proxy, protocols, said, rows, states, session, became } = await start(t, { elsewhere }, { link: { storage, openTimeoutMs: 700 } })
    await became('open')
    t.same(states.map(([state]) => state), ['connecting', 'open'])
    const live = await session()
    live.send('row', '1')
    await client.emit('say', { text: what })
    await until(() => rows.length === 1, 'a row')
    t.same([rows, said], [[1], [what]])
    t.equal(stored.size, 1, 'it is remembered')
    live.close('again', { reconnect: true })
    await became('open', 2)
    t.same(protocols, ['http/1.1', 'http/1.1'])
    t.equal(proxy.upgrades, 1)
  })
}

t.test('mode "websocket" tries again, later and later, what is no server of ours', async (t) => {
  for (const what of ['says something else', 'sends what it gets', 'closes at once, as "come no more"']) {
    const elsewhere = await startOther(t, others[what]!)
    const { client, proxy, protocols, rows, states, session, became } = await start(t, { elsewhere }, { link: { mode: 'websocket' } })
    await became('waiting', 4)
    const ended = states.filter(([state]) => state === 'waiting').length
    // The next try may be on its way by now.
    t.ok([ended, ended + 1].includes(proxy.upgrades), 'one after the other')
    t.ok(states.every(([state, { retryMs }]) => state !== 'waiting' || retryMs! <= 200))
    proxy.conduct = { pass: true }
    await became('open')
    const live = await session()
    live.send('row', '1')
    await until(() => rows.length === 1, 'a row')
    t.same(protocols, ['websocket'])
    client.close()
  }
})

t.test('a class that throws is as a WebSocket that gets nowhere', async (t) => {
  for (const name of ['SecurityError', 'SyntaxError']) {
    let tries = 0
    const Throwing = class { constructor () { tries++; throw new DOMException('not here', name) } } as unknown as typeof Class
    const { client, protocols, said, states, became } = await start(t, { pass: true }, { link: { WebSocket: Throwing } })
    await became('open')
    await client.emit('say', { text: name })
    t.same([protocols, said, tries], [['http/1.1'], [name], 1])
    t.same(states.map(([state]) => state), ['connecting', 'open'])
    const alone = await start(t, { pass: true }, { link: { WebSocket: Throwing, mode: 'websocket' } })
    const { cause } = await alone.became('waiting', 2)
    t.match((cause as Error).cause, { name }, 'it is tried again, and told why')
    t.equal(alone.client.state === 'closed', false)
  }
})

t.test('a network that is down is not blamed on the WebSocket', async (t) => {
  const { proxy, protocols, became } = await start(t, { hang: true }, {
    link: { openTimeoutMs: 200 },
    connect: { fetch: async (...args) => { if (proxyIsDown) throw new TypeError('offline'); return fetch(...args) } }
  })
  let proxyIsDown = true
  await became('waiting')
  proxy.conduct = { pass: true }
  await became('open')
  t.same(protocols, ['websocket'])
  proxyIsDown = false
})

t.test('a WebSocket that is cut after a while: nothing is lost or doubled, and in the end an event stream takes over', async (t) => {
  const { client, proxy, protocols, said, rows, session, became } = await start(t, { cutAfterBytes: 6_000 })
  await became('open')
  const live = await session()
  const total = 600
  const emitted: Array<Promise<void>> = []
  for (let number = 1; number <= total; number++) {
    live.send('row', String(number))
    if (number % 3 === 0) emitted.push(client.emit('say', { text: String(number / 3) }))
    if (number % 10 === 0) await until(() => client.state === 'open', 'the stream')
  }
  await Promise.all(emitted)
  await until(() => rows.length >= total, 'all rows')
  t.same(rows, range(1, total))
  t.same(said.map(Number), range(1, total / 3))
  t.same(protocols, ['websocket', 'websocket', 'http/1.1'], 'two of them were cut')
  t.equal(proxy.upgrades, 2)
  t.equal(client.session, live.id, 'one session throughout')
})

t.test('where a WebSocket got through before, one that does not is forgiven twice in a row', async (t) => {
  const stored = new Map<string, string>()
  const storage = { getItem: (key: string) => stored.get(key) ?? null, setItem: (key: string, value: string) => { stored.set(key, value) } }
  const open = async (t: Test) => {
    const { proxy, protocols, session, became } = await start(t, { pass: true }, { link: { storage } })
    await became('open')
    const live = await session()
    let times = 1
    const reopen = async (conduct: Conduct) => {
      proxy.conduct = conduct
      await until(() => live.connected, 'the stream')
      proxy.cut()
      t.match(await became('open', ++times), { verdict: 'resumed' })
    }
    return { proxy, protocols, reopen }
  }
  // As when a proxy is restarted, and takes requests a moment after the WebSocket was tried.
  const blocked: Conduct = { status: 502 }
  const through: Conduct = { pass: true }
  await t.test('the next one gets through', async (t) => {
    const { protocols, reopen } = await open(t)
    for (const conduct of [blocked, blocked, through]) await reopen(conduct)
    t.same(protocols, ['websocket', 'http/1.1', 'http/1.1', 'websocket'])
    t.equal(stored.size, 0, 'nothing to remember')
  })
  await t.test('the next one does not either', async (t) => {
    const { proxy, protocols, reopen } = await open(t)
    await reopen(blocked)
    await reopen(blocked)
    t.equal(stored.size, 0)
    await reopen(blocked)
    t.equal(stored.size, 1)
    await reopen(through)
    t.same(protocols, ['websocket', ...Array<string>(4).fill('http/1.1')])
    t.equal(proxy.upgrades, 4, 'three times in vain, and not again')
  })
})

t.test('mode "websocket" has nothing to fall back to', async (t) => {
  const { proxy, protocols, became } = await start(t, { status: 403 }, { link: { mode: 'websocket' } })
  await became('waiting', 2)
  t.same(protocols, [])
  proxy.conduct = { pass: true }
  await became('open')
  t.same(protocols, ['websocket'])
})

t.test('what the server\'s codes say', async (t) => {
  const closed = await start(t, { pass: true })
  await closed.became('open')
  const { id } = await closed.session()
  closed.server.live.get(id)!.close('over')
  t.match(await closed.became('closed'), { reason: 'over' })
  const again = connectTo(t, closed.server, closed.proxy.port, { link: webSocketLink({ WebSocket: Class }), resume: { session: id, seq: 0 } })
  t.match(await again.became('closed'), { reason: 'closed' }, 'gone for good')

  const full = await start(t, { pass: true }, { live: { tether: { maxSessions: 1 } } })
  await full.became('open')
  const second = connectTo(t, full.server, full.proxy.port, { link: webSocketLink({ WebSocket: Class }) })
  t.match(await second.became('waiting'), { reason: 'session-limit' })
  t.ok((await second.became('waiting')).retryMs! >= 1_000)

  const failing = await start(t, { pass: true }, { live: { live: { initialState: () => { throw Object.assign(new Error('no'), { statusCode: 403, code: 'NOT_YOU' }) } } } })
  t.match(await failing.became('closed'), { reason: 'refused' })
})

t.test('without a WebSocket class there is the event stream', async (t) => {
  const { protocols, became } = await start(t, { pass: true }, { connect: { link: webSocketLink() } })
  await became('open')
  t.same(protocols, [(globalThis as { WebSocket?: unknown }).WebSocket === undefined ? 'http/1.1' : 'websocket'])
})
