import { connect } from 'node:net'
import fastifyWebsocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { WebSocketServer } from 'ws'
import type { Transport, WebSocketUpgrade } from '../../plugin/index.ts'
import { certificate } from './harness/certificate.ts'
import { contract, silent as on } from './harness/contract.ts'
import { startLive } from './harness/live.ts'
import { openReader } from './harness/reader.ts'
import { request } from './harness/request.ts'
import { startServer, type Server } from './harness/server.ts'
import { until, within } from './harness/until.ts'
import { openSocket, startSocket } from './harness/web-socket.ts'

const mount = (app: FastifyInstance, url: string, mode: 'websocket' | 'both' = 'websocket') => app.tether.stateful(url, { contract, on, mode })

async function says (t: Test, server: Server, path: string): Promise<void> {
  const reader = await openSocket(server, path, { session: 'new' })
  await until(() => reader.controls.length > 0, `hello of ${path}`)
  t.match(await reader.ask({ event: 'ping', data: {} }), { status: 202 }, path)
}

async function status (server: Server, path: string): Promise<number> {
  const reader = startSocket(server, path)
  await until(() => reader.closed || reader.status === 101, `the answer of ${path}`)
  reader.destroy()
  return reader.status
}

const warnings = (server: Server) => server.log.filter(({ level }) => level >= 40).map(({ msg }) => msg)

t.test('several URLs, with prefixes, parameters and encapsulated instances', async (t) => {
  const server = await startServer(t, {
    setup: (app) => {
      mount(app, '/live')
      mount(app, '/rooms/:room/live', 'both')
      app.register(async (child) => {
        mount(child, '/live')
        child.register(async (grandchild) => { mount(grandchild, '/', 'both') }, { prefix: '/deep' })
      }, { prefix: '/api' })
      app.get('/plain', async () => 'plain')
    }
  })
  for (const path of ['/live', '/rooms/a%20b/live', '/api/live', '/api/deep/', '/api/deep?x=1']) await says(t, server, path)
  t.equal(server.app.server.listenerCount('upgrade'), 1, 'one listener for them all')
  t.equal(server.app.hasDecorator('websocketServer'), false, 'and nothing of it on the application')
  t.equal(await status(server, '/plain'), 200, 'as if no upgrade had been asked for')
  t.equal(await status(server, '/nowhere'), 404)
  t.equal(await status(server, '/live/ping'), 404)
  t.same(warnings(server), [])
  await within(server.app.close(), 'close()')
})

t.test('upgrades for others are left to them', async (t) => {
  const others = new WebSocketServer({ noServer: true })
  const server = await startServer(t, {
    setup: (app) => {
      mount(app, '/live')
      app.server.on('upgrade', (request, socket, head) => {
        if (request.url === '/other') others.handleUpgrade(request, socket, head, (peer) => { peer.send('data: other\n\n') })
      })
    }
  })
  const other = await openSocket(server, '/other')
  await until(() => other.updates.length === 1, 'the other server')
  await says(t, server, '/live')
  t.same(warnings(server), [])
  other.destroy()
})

t.test('an application\'s own @fastify/websocket is used', async (t) => {
  const server = await startServer(t, {
    setup: async (app) => {
      await app.register(fastifyWebsocket, { options: { maxPayload: 500, perMessageDeflate: true } })
      app.get('/echo', { websocket: true }, (socket) => { socket.on('message', (message: Buffer) => { socket.send(message.toString()) }) })
      mount(app, '/live', 'both')
    }
  })
  await says(t, server, '/live')
  const echo = await openSocket(server, '/echo', 'data: hello\n\n')
  await until(() => echo.updates.length === 1, 'the echo')
  t.equal(server.app.server.listenerCount('upgrade'), 1)
  const reader = await openSocket(server, '/live', { session: 'new' }, { perMessageDeflate: true })
  await until(() => reader.controls.length > 0, 'hello')
  t.equal(reader.socket.extensions, 'permessage-deflate', 'which its options allow, and we do without')
  t.match(await reader.ask({ event: 'say', data: { text: 'x'.repeat(200) } }), { status: 202 }, 'a compressed message is read')
  t.equal((server.app as unknown as { websocketServer: { clients: Set<unknown> } }).websocketServer.clients.size, 1, 'what it sends to all of its own does not reach ours')
  await within(server.app.close(), 'close()')
  await until(() => reader.closed, 'the end')
  t.equal(reader.closeCode, 1001)
  t.match(reader.controls.at(-1), { type: 'goodbye', reason: 'shutdown', reconnect: true }, 'it would have closed ours without a goodbye')
})

t.test('one that another part of the application has registered, sooner or later', async (t) => {
  for (const sooner of [true, false]) {
    const server = await startServer(t, {
      setup: (app) => {
        const other = async (child: FastifyInstance) => {
          await child.register(fastifyWebsocket)
          child.get('/echo', { websocket: true }, (socket) => { socket.send('data: hello\n\n') })
        }
        if (sooner) app.register(other)
        mount(app, '/live', 'both')
        if (!sooner) app.register(other)
      }
    })
    await says(t, server, '/live')
    const echo = await openSocket(server, '/echo')
    await until(() => echo.updates.length === 1, 'the echo')
    t.equal(server.app.tether.stats().sessions, 1)
    t.same(server.errors(), [])
    await within(server.app.close(), 'close()')
  }
})

t.test('a refused upgrade leaves no connection behind', async (t) => {
  const server = await startLive(t, { live: { mode: 'websocket' }, setup: (app) => { app.addHook('onRequest', async (_request, reply) => reply.code(401).send({ code: 'WHO' })) } })
  for (const path of ['/live', '/nowhere']) {
    const socket = connect(server.port, '127.0.0.1')
    let text = ''
    let ended = false
    socket.on('data', (piece) => { text += piece })
    socket.on('end', () => { ended = true })
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`)
    await until(() => ended, 'the server to close the connection')
    t.match(text, /^HTTP\/1.1 401 .*"WHO"/s)
    socket.destroy()
  }
  await within(server.app.close(), 'close()')
})

t.test('handshakes that cannot be', async (t) => {
  const server = await startLive(t, { live: { mode: 'both' } })
  for (const lines of ['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Version: 7\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==', 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short']) {
    const socket = connect(server.port, '127.0.0.1')
    let text = ''
    socket.on('data', (piece) => { text += piece })
    socket.on('error', () => {})
    socket.write(`GET /live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${lines}\r\n\r\n`)
    await until(() => socket.closed, 'the end')
    t.match(text, /^HTTP\/1.1 400 /, lines)
  }
  t.match(server.app.tether.stats(), { sessions: 0, streams: 0 })
})

t.test('over TLS, and on an HTTP/2 server that also speaks HTTP/1.1', async (t) => {
  const secure = await startLive(t, { live: { mode: 'websocket' }, fastify: { https: certificate() } as object })
  await says(t, { ...secure, origin: secure.origin.replace('http:', 'https:') }, '/live')
  const both = await startLive(t, { protocol: 'h2', live: { mode: 'both' }, fastify: { http2: true, https: { ...certificate(), allowHTTP1: true } } as object })
  await says(t, both, '/live')
  const reader = await openReader(both)
  await until(() => reader.controls.length > 0, 'hello')
  t.match(both.live.stats, { protocols: { 'http/1.1': 0, 'http/2': 1, websocket: 1 } })
  t.same(warnings(both), [])
})

t.test('on a server that speaks nothing but HTTP/2', async (t) => {
  for (const protocol of ['h2c', 'h2'] as const) {
    const server = await startLive(t, { protocol, live: { mode: 'both' } })
    const reader = await openReader(server)
    await until(() => reader.controls.length > 0, 'hello')
    t.match(warnings(server), [/server-sent events only/])
    await t.rejects(startLive(t, { protocol, live: { mode: 'websocket' } }), { code: 'FST_ERR_TETHER_MODE', message: /nothing but HTTP\/2/ })
  }
})

t.test('injectWS, for tests', async (t) => {
  const server = await startServer(t, {
    fastify: { logger: false },
    setup: async (app) => {
      await app.register(fastifyWebsocket)
      mount(app, '/live')
    }
  })
  const socket = await (server.app as unknown as { injectWS: (path: string) => Promise<import('ws').WebSocket> }).injectWS('/live')
  let text = ''
  socket.on('message', (message: Buffer) => { text += message })
  socket.send('{"session":"new"}')
  await until(() => text.includes('"hello"'), 'hello')
  socket.send('{"event":"ping","data":{}}')
  await until(() => text.includes('"answer"'), 'the answer')
  t.match(text, '"status":202')
  socket.terminate()
  await until(() => server.app.tether.stats().streams === 0, 'the end')
})

t.test('a WebSocket in a route of one\'s own takes the package, and says so where that is missing', async (t) => {
  for (const [what, setup, advice] of [
    ['not registered', (app: FastifyInstance, upgrade: WebSocketUpgrade) => {
      app.get('/ticks', { websocket: true } as object, async (socket: any, request: any) => { await upgrade(request, socket) })
    }, /register @fastify\/websocket \(with await\) before the route, which needs \{ websocket: true \}$/],
    ['not registered, by a handler that gets request and reply', (app: FastifyInstance, upgrade: WebSocketUpgrade) => {
      app.get('/ticks', async (request, reply) => { await upgrade(request, reply as never) })
    }, /register @fastify\/websocket/],
    ['registered too late', async (app: FastifyInstance, upgrade: WebSocketUpgrade) => {
      app.get('/ticks', { websocket: true } as object, async (socket: any, request: any) => { await upgrade(request, socket) })
      await app.register(fastifyWebsocket)
    }, /must be made after @fastify\/websocket has been registered/],
    ['a route without a WebSocket', async (app: FastifyInstance, upgrade: WebSocketUpgrade) => {
      await app.register(fastifyWebsocket)
      app.get('/ticks', async (request, reply) => { await upgrade(request, reply as never) })
    }, /the route needs \{ websocket: true \}/],
    ['nothing at all', (app: FastifyInstance, upgrade: WebSocketUpgrade) => {
      app.get('/ticks', async (request) => { await upgrade(request, undefined as never) })
    }, /register @fastify\/websocket/]
  ] as const) {
    const server = await startServer(t, { setup: async (app) => { await setup(app, app.tether.websocket.upgrade()) } })
    const { status, json } = await request(server, '/ticks')
    t.match([status, json], [500, { code: 'FST_ERR_TETHER_NO_SOCKET', message: advice }], what)
    t.equal(server.errors().length, 1, what)
    t.equal(server.app.tether.stats().streams, 0)
  }
})

t.test('a plain WebSocket: arguments, goodbyes, and one that is over already', async (t) => {
  const transports: Transport[] = []
  const faults: unknown[] = []
  const server = await startServer(t, {
    setup: async (app) => {
      await app.register(fastifyWebsocket)
      const plain = app.tether.websocket.upgrade()
      const polite = app.tether.websocket.upgrade({ goodbye: true })
      app.get('/plain', { websocket: true }, async (socket, request) => { transports.push(await plain(request, socket)) })
      app.get('/polite', { websocket: true }, async (socket, request) => { transports.push(await polite(request, socket)) })
      app.get('/swapped', { websocket: true }, async (socket, request) => {
        await plain(socket as never, request as never).catch((error: unknown) => { faults.push(error) })
        socket.close()
      })
      app.get('/late', { websocket: true }, async (socket, request) => {
        await new Promise((resolve) => { socket.on('close', resolve) })
        transports.push(await plain(request, socket))
      })
    }
  })
  startSocket(server, '/swapped')
  await until(() => faults.length === 1, 'the fault')
  t.match(faults[0], { code: 'FST_ERR_TETHER_NO_SOCKET', message: /the request comes first, then the socket$/ })

  const late = startSocket(server, '/late')
  await late.opened
  late.destroy()
  const over = await until(() => transports.pop(), 'the transport of a socket that is over')
  t.equal(await within(over.closed, 'closed'), 'client')
  t.equal(server.app.tether.stats().streams, 0)

  const sockets = ['/plain', '/polite'].map((path) => startSocket(server, path))
  await until(() => transports.length === 2, 'the transports')
  await within(server.app.tether.drain({ retryMs: 5_000, spreadMs: 0 }), 'drain()')
  const newcomers = ['/plain', '/polite'].map((path) => startSocket(server, path))
  await until(() => [...sockets, ...newcomers].every(({ closed }) => closed), 'the ends')
  t.same(sockets.map(({ text, closeCode }) => [text, closeCode]), [
    ['retry: 1000\n\nretry: 5000\n\n', 1001],
    ['retry: 1000\n\nretry: 5000\nevent: tether\ndata: {"type":"goodbye","reason":"draining","reconnect":true}\n\n', 1001]
  ])
  t.match(newcomers.map(({ text, closeCode }) => [text, closeCode]), [
    [/^retry: 1000\n\nretry: \d+\n\n$/, 1013],
    [/^retry: 1000\n\nretry: \d+\nevent: tether\ndata: {"type":"goodbye","reason":"draining","reconnect":true}\n\n$/, 1013]
  ])
})

t.test('a WebSocket that has named no session yet is told in words all the same', async (t) => {
  const server = await startLive(t, { live: { mode: 'websocket' } })
  const socket = startSocket(server)
  await socket.opened
  await until(() => server.app.tether.stats().streams === 1, 'the stream')
  await within(server.app.tether.drain({ retryMs: 5_000, spreadMs: 0 }), 'drain()')
  await until(() => socket.closed, 'the end')
  t.match([socket.closeCode, socket.controls], [1001, [{ type: 'goodbye', reason: 'draining', reconnect: true }]])
})
