import { connect } from 'node:net'
import t from 'tap'
import { counting, exactly } from './harness/claim.ts'
import { connectSession } from './harness/http2-connection.ts'
import { startLive, type LiveOptions, type LiveServer } from './harness/live.ts'
import { openReader } from './harness/reader.ts'
import { refused } from './harness/refusal.ts'
import { readWhole, request } from './harness/request.ts'
import { openSocket } from './harness/web-socket.ts'
import { turns, until, within } from './harness/until.ts'

const accept = { accept: 'text/event-stream' }
const from = (address: string) => ({ 'x-forwarded-for': address })
const by = (user: string) => ({ 'x-user': user })

async function start (t: Parameters<typeof startLive>[0], options: LiveOptions = {}): Promise<LiveServer> {
  const server: LiveServer = await startLive(t, {
    fastify: { trustProxy: 'loopback' },
    ...options,
    setup: (app) => { app.get('/page', async (request) => ({ session: await server.live.prepare(request) })) }
  })
  return server
}

/** Opens as many streams as are granted, of at most `most`. */
async function fill (server: LiveServer, headers: Record<string, string>, most: number): Promise<number> {
  for (let count = 0; count < most; count++) {
    const reader = await openReader(server, '/live', { headers: { ...counting('new'), ...headers } })
    if (reader.status !== 200) return count
    await until(() => reader.controls.length, 'the hello')
  }
  return most
}

t.test('maxSessionsPerOwner holds for who bind names', async (t) => {
  const server = await start(t, { tether: { maxSessionsPerOwner: 3, bind: (request) => request.headers['x-user'] as string | undefined } })
  t.equal(await fill(server, { ...by('ann'), ...from('203.0.113.1') }, 6), 3)
  refused(t, await readWhole(server, '/live', { ...accept, ...counting('new'), ...by('ann'), ...from('203.0.113.2') }), 503, 'FST_ERR_TETHER_SESSION_LIMIT', 'from another address')
  const answer = await readWhole(server, '/live', { ...accept, ...counting('new'), ...by('ann') })
  t.match(answer.headers['retry-after'], /^[1-9]\d*$/)
  const browser = await readWhole(server, '/live', { ...accept, ...by('ann') })
  t.equal(browser.status, 200)
  t.match(browser.text, /^retry: \d+\nevent: tether\ndata: {"type":"goodbye","reason":"session-limit","reconnect":true}\n\n$/)
  t.same((await request(server, '/page', { headers: by('ann') })).json, { session: null }, 'a prepared one would count as well')
  t.equal(await fill(server, { ...by('bob'), ...from('203.0.113.1') }, 3), 3, 'somebody else has a share of their own')
  t.equal(await fill(server, from('203.0.113.1'), 4), 3, 'so has the address of those whom bind does not name')
  t.match(server.app.tether.stats(), { sessions: 9, refusals: { maxSessions: 0, maxSessionsPerOwner: 6, maxSessionsPerConnection: 0, pipelined: 0 } })
})

t.test('sessions count until they end, with a stream or without, prepared or not', async (t) => {
  const server = await start(t, { tether: { maxSessionsPerOwner: 2 } })
  const headers = from('203.0.113.1')
  const { reader, session } = await server.connect({ headers })
  reader.destroy()
  await until(() => !session.connected, 'the disconnect')
  const claim = (await request(server, '/page', { headers })).json.session as string
  t.type(claim, 'string')
  t.equal(await fill(server, headers, 1), 0, 'one without a stream and one prepared')
  const back = await server.connect({ headers: { ...headers, ...exactly(session.id, 0) } })
  t.equal(back.session, session, 'who has a session may come back')
  t.equal((await openReader(server, `/live?tether-session=${claim}`, { headers })).status, 200)
  t.equal(await fill(server, headers, 1), 0)
  await within(session.close(), 'close')
  t.equal(await fill(server, headers, 2), 1, 'one that is gone leaves its place')
})

t.test('where bind names nobody, the public address does', async (t) => {
  const server = await start(t, { tether: { maxSessions: 30 } })
  t.equal(await fill(server, from('203.0.113.1'), 5), 3, 'a tenth of maxSessions')
  t.equal(await fill(server, from('203.0.113.2'), 3), 3)
  t.equal(await fill(server, from('2001:db8:1:2::1'), 2), 2)
  t.equal(await fill(server, from('2001:db8:1:2:aaaa::9'), 2), 1, 'of IPv6 the first 64 bits')
  t.equal(await fill(server, from('2001:db8:1:3::1'), 1), 1)
  for (const address of ['10.0.0.1', '192.168.7.7', '172.20.1.1', '::1', 'fd00::1', 'fe80::1', '169.254.0.9', '100.64.3.3']) t.equal(await fill(server, from(address), 1), 1)
  t.equal(await fill(server, from('10.0.0.1'), 5), 5, 'a private one has no owner')
  t.equal(await fill(server, {}, 4), 4, 'nor has the loopback')
  t.match(server.app.tether.stats(), { sessions: 27 })
})

t.test('0: no limit of an owner', async (t) => {
  const server = await start(t, { tether: { maxSessions: 12, maxSessionsPerOwner: 0 } })
  t.equal(await fill(server, from('203.0.113.1'), 20), 12)
  t.match(server.app.tether.stats().refusals, { maxSessions: 1, maxSessionsPerOwner: 0 })
})

t.test('an address is believed as Fastify believes it', async (t) => {
  const server = await start(t, { fastify: {}, tether: { maxSessionsPerOwner: 1 } })
  t.equal(await fill(server, from('203.0.113.1'), 4), 4, 'a header that nobody vouches for names nobody')
})

t.test('a slot of an owner is given back when initialState fails, and taken before it runs', async (t) => {
  let failing = true
  let release = () => {}
  let running = 0
  const gate = new Promise<void>((resolve) => { release = resolve })
  const server = await start(t, {
    tether: { maxSessionsPerOwner: 2 },
    live: {
      initialState: async () => {
        if (failing) throw Object.assign(new Error('no'), { statusCode: 418 })
        running++
        await gate
      }
    }
  })
  const headers = { ...counting('new'), ...from('203.0.113.1') }
  for (let count = 0; count < 5; count++) t.equal((await readWhole(server, '/live', { ...accept, ...headers })).status, 418)
  failing = false
  const statuses: number[] = []
  for (let count = 0; count < 6; count++) openReader(server, '/live', { headers }).then(({ status }) => { statuses.push(status) }, () => {})
  await until(() => statuses.length === 4, 'four refusals')
  t.same(statuses, [503, 503, 503, 503])
  t.equal(running, 2)
  release()
  await until(() => statuses.length === 6, 'all answers')
  t.match(server.app.tether.stats(), { sessions: 2, streams: 2 })
})

t.test('over a WebSocket it is told as any lack of room', async (t) => {
  const server = await start(t, { tether: { maxSessionsPerOwner: 1 }, live: { mode: 'both' } })
  const headers = from('203.0.113.1')
  t.equal(await fill(server, headers, 1), 1)
  const socket = await openSocket(server, '/live', { session: 'new' }, { headers })
  await until(() => socket.closed, 'the end of the socket')
  t.match(socket.controls, [{ type: 'goodbye', reason: 'session-limit', reconnect: true }])
  t.equal(socket.closeCode, 1013)
})

t.test('drive-by GETs cost nobody else their session', async (t) => {
  const closes: string[] = []
  const server = await start(t, {
    tether: { maxDetached: 6, maxSessions: 1_000 },
    live: { initialState: (request) => request.ip, onClose: (session, reason) => { closes.push(`${String(session.state)} ${reason}`) } }
  })
  const connections = []
  for (const address of ['203.0.113.1', '203.0.113.2', '192.168.0.3']) connections.push(await server.connect({ headers: from(address) }))
  for (const { reader, session } of connections) {
    reader.destroy()
    await until(() => !session.connected, 'the disconnect')
  }
  for (let count = 0; count < 12; count++) {
    const { reader, session } = await server.connect({ headers: from('198.51.100.66') })
    reader.destroy()
    await until(() => !session.connected, 'the disconnect')
  }
  await until(() => closes.length === 9, 'those that were too many')
  t.same(new Set(closes), new Set(['198.51.100.66 evicted']))
  for (const { session } of connections) {
    const back = await server.connect({ headers: exactly(session.id, 0) })
    t.match(back.reader.controls[0], { verdict: 'resumed', session: session.id })
  }
})

for (const protocol of ['h2c', 'h2'] as const) {
  t.test(`${protocol}: maxSessionsPerConnection`, async (t) => {
    const server = await start(t, { protocol, tether: { maxSessionsPerConnection: 3, maxSessions: 50 } })
    const over = connectSession(server)
    server.readers.add(over)
    const open = (path = '/live', headers: Record<string, string> = counting('new')) => openReader(server, path, { headers, over })
    const readers = []
    for (let count = 0; count < 3; count++) readers.push(await open())
    t.same(readers.map(({ status }) => status), [200, 200, 200])
    const more = await open()
    t.equal(more.status, 503)
    t.match(more.headers['retry-after'], /^[1-9]\d*$/)
    const browser = await open('/live', {})
    await until(() => browser.ended, 'the end')
    t.match(browser.controls, [{ type: 'goodbye', reason: 'session-limit', reconnect: true }])
    const claim = (await request(server, '/page')).json.session as string
    const claiming = await open(`/live?tether-session=${claim}`)
    t.equal(claiming.status, 503, 'a prepared session counts where its stream is')
    t.match(server.app.tether.stats(), { sessions: 4, pending: 1, refusals: { maxSessionsPerConnection: 3 } })

    const other = connectSession(server)
    server.readers.add(other)
    const elsewhere = await openReader(server, `/live?tether-session=${claim}`, { headers: counting('new'), over: other })
    await until(() => elsewhere.controls.length, 'hello')
    t.match(elsewhere.controls[0], { verdict: 'new' }, 'and can still be claimed over another')

    const id = readers[0]!.session
    readers[0]!.destroy()
    await until(() => server.app.tether.stats().detached === 1, 'the disconnect')
    t.equal((await open()).status, 503, 'without its stream it counts on')
    const back = await openReader(server, '/live', { headers: counting(id, 0), over: other })
    await until(() => back.controls.length, 'hello')
    t.match(back.controls[0], { verdict: 'resumed' })
    t.equal((await open()).status, 200, 'one that went elsewhere leaves its place')
    await within(server.live.get(readers[1]!.session)!.close(), 'close')
    t.equal((await open()).status, 200, 'so does one that ended')
    t.equal((await open()).status, 503)
  })
}

t.test('by default one HTTP/2 connection does not get all, and 0 lets it', async (t) => {
  for (const [maxSessionsPerConnection, most] of [[undefined, 200], [0, 230]] as const) {
    const server = await start(t, { protocol: 'h2c', tether: { maxSessions: 230, ...maxSessionsPerConnection === undefined ? {} : { maxSessionsPerConnection } } })
    const over = connectSession(server)
    server.readers.add(over)
    const readers = await Promise.all(Array.from({ length: 240 }, () => openReader(server, '/live', { headers: counting('new'), over })))
    t.equal(readers.filter(({ status }) => status === 200).length, most)
    t.equal(server.app.tether.stats().sessions, most)
  }
})

t.test('maxConcurrentStreams reaches a client as docs/deploying.md says', async (t) => {
  const http = { settings: { maxConcurrentStreams: 7 } }
  const server = await start(t, { protocol: 'h2c', fastify: { http } as object })
  const over = connectSession(server)
  server.readers.add(over)
  const reader = await openReader(server, '/live', { headers: counting('new'), over })
  t.equal(reader.status, 200)
  t.equal(over.remoteSettings.maxConcurrentStreams, 7)
})

t.test('a GET behind a stream on its connection gets no session, and its answer in its turn', async (t) => {
  let release = () => {}
  const gate = new Promise<void>((resolve) => { release = resolve })
  const server = await startLive(t, { setup: (app) => { app.get('/slow', async () => { await gate; return 'slow' }) } })
  const socket = connect(server.port, '127.0.0.1')
  server.readers.add(socket)
  let text = ''
  socket.on('error', () => {}).on('data', (piece) => { text += String(piece) })
  const get = (path: string, header: string) => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n${header}\r\n`
  socket.write(get('/live', '') + get('/live', 'X-Tether-Session: new\r\n') + get('/live', ''))
  await until(() => text.includes('"verdict":"new"'), 'the first stream')
  await until(() => server.app.tether.stats().refusals.pipelined === 2, 'the others to be refused')
  t.match(server.app.tether.stats(), { sessions: 1, streams: 1 })
  const [session] = [...server.live.sessions]
  session!.send('row', 'goes on')
  await until(() => text.includes('goes on'), 'an update on the first')
  await within(session!.close(), 'close')
  await until(() => text.includes('session-limit'), 'the answers')
  t.match(text, /HTTP\/1\.1 200 [^]*"reason":"session-limit","reconnect":true[^]*HTTP\/1\.1 200 [^]*"reason":"session-limit","reconnect":true/)

  text = ''
  socket.write(get('/slow', '') + get('/live', '') + get('/live', ''))
  await until(() => server.app.tether.stats().refusals.pipelined === 3, 'the refusal of the one behind a stream')
  t.equal(text, '')
  release()
  await until(() => text.includes('"verdict":"new"'), 'the stream of the one behind another request')
  await turns()
  t.match(server.app.tether.stats(), { sessions: 1, streams: 1 })
  t.same(server.errors(), [])
})
