import { Agent, request, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as requestSecure } from 'node:https'
import { connect } from 'node:net'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import { WebSocketServer } from 'ws'
import { certificate } from './harness/certificate.ts'
import { contract, silent as on } from './harness/contract.ts'
import { startServer, type Server } from './harness/server.ts'
import { turns, until, within } from './harness/until.ts'
import { openSocket } from './harness/web-socket.ts'

const handshake = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' }
const h2c = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA' }
const urls = ['/echo', '/echo?x=%C3%A4', '/live/', '/LIVE', '//live', '/rooms/abc/live', '/rooms//live', '/nowhere', '/live/ping', '/live/nothing', '/slow', '/refused']

/** An application whose WebSockets, if it has any, are at `/live` and `/rooms/:room/live`. */
function mount (app: FastifyInstance, mode: 'sse' | 'both' | 'websocket'): void {
  app.addHook('onRequest', async (request, reply) => {
    if (request.url.startsWith('/refused')) return reply.code(401).send('who?')
  })
  app.tether.stateful('/live', { contract, on, mode })
  app.tether.stateful('/rooms/:room(^\\d+$)/live', { contract, on, mode })
  app.addContentTypeParser('text/plain', { parseAs: 'string' }, (_request, body, done) => { done(null, body) })
  app.all('/echo', async ({ method, url, body, headers }) => ({ method, url, body: body ?? null, type: headers['content-type'] ?? null, upgrade: headers.upgrade ?? null }))
  app.get('/slow', async () => {
    await turns(20)
    return 'slow'
  })
}

interface Answer {
  readonly status: number
  readonly type: string | undefined
  readonly body: string
}

interface Exchange extends RequestOptions {
  readonly body?: string[]
}

/** Sends one request, its body a piece at a time. */
function exchange (server: Server, path: string, { body = [], headers = {}, ...options }: Exchange): Promise<Answer> {
  const secure = server.protocol === 'https' || server.protocol === 'h2'
  return new Promise((resolve, reject) => {
    const sent = (secure ? requestSecure : request)({ port: server.port, host: '127.0.0.1', path, headers: { 'content-type': 'text/plain', ...headers } as Record<string, string>, ...secure ? { ca: certificate().cert } : {}, ...options })
    sent.on('error', reject)
    sent.on('response', (response: IncomingMessage) => {
      let text = ''
      response.on('data', (piece) => { text += piece })
      response.on('error', reject)
      response.on('end', () => { resolve({ status: response.statusCode!, type: response.headers['content-type'], body: text }) })
    })
    sent.on('upgrade', (response, socket) => {
      socket.destroy()
      resolve({ status: response.statusCode!, type: undefined, body: '' })
    })
    const send = async () => {
      sent.flushHeaders()
      for (const piece of body) {
        await turns()
        sent.write(piece)
      }
      sent.end()
    }
    send().catch(reject)
  })
}

function connections (server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.app.server.getConnections((error, count) => error === null ? resolve(count) : reject(error))
  })
}

async function leavesNothing (t: Test, server: Server): Promise<void> {
  let open = -1
  await until(() => {
    connections(server).then((count) => { open = count }, t.error)
    return open === 0
  }, 'no connection to be left')
  await within(server.app.close(), 'close()')
  t.equal(open, 0)
}

/** Every wish to upgrade that no route of a server's takes. */
const wishes: Array<{ name: string, methods: string[], headers: Record<string, string> }> = [
  { name: 'h2c', methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'], headers: h2c },
  { name: 'a protocol of no name', methods: ['GET', 'POST'], headers: { connection: 'keep-alive, upgrade', upgrade: 'foo/1' } },
  { name: 'a WebSocket', methods: ['GET', 'HEAD', 'POST', 'DELETE'], headers: handshake }
]

const bodies: Array<{ name: string, body: string[], headers: Record<string, string> }> = [
  { name: 'no body', body: [], headers: {} },
  { name: 'a body of known length', body: ['one ', 'two ', 'three'], headers: { 'content-length': '13' } },
  { name: 'a body in chunks', body: ['one ', 'x'.repeat(100_000)], headers: { 'transfer-encoding': 'chunked' } },
  { name: 'a body that waits for leave', body: ['one'], headers: { 'content-length': '3', expect: '100-continue' } },
  { name: 'a body that is too large', body: ['x'.repeat(3_000_000)], headers: { 'content-length': '3000000' } }
]

for (const { protocol, fastify = {} } of [
  { protocol: 'http/1.1' }, { protocol: 'https' }, { protocol: 'h2', fastify: { http2: true, https: { ...certificate(), allowHTTP1: true } } }
] as Array<{ protocol: 'http/1.1' | 'https' | 'h2', fastify?: object }>) {
  t.test(`${protocol}: what no WebSocket comes of is answered as if there were none`, async (t) => {
    const start = (mode: 'sse' | 'both' | 'websocket') => startServer(t, { protocol, fastify: fastify as FastifyServerOptions, setup: (app) => { mount(app, mode) } })
    const plain = await start('sse')
    const answers = new Map<string, Promise<Answer | { lost: boolean }>>()
    for (const mode of ['both', 'websocket'] as const) {
      const server = await start(mode)
      for (const { name: wish, methods, headers } of wishes) {
        // The methods differ in Node's parser of HTTP/1.1, which TLS does not change.
        for (const method of protocol === 'http/1.1' ? methods : methods.slice(0, 3)) {
          for (const { name, body, headers: more } of bodies) {
            if ((method === 'GET' || method === 'HEAD' || method === 'OPTIONS') !== (body.length === 0) && method !== 'DELETE') continue
            const isLarge = body.join('').length > 1_000_000
            for (const path of protocol === 'http/1.1' && body.length <= 1 && !isLarge ? urls : ['/echo', '/LIVE', '/live/nothing']) {
              if (isLarge && (path !== '/echo' || method !== 'POST')) continue
              // The answer to what is too large may be lost on the way, as its body is cut.
              const answer = (of: Server) => exchange(of, path, { method, body, headers: { ...headers, ...more } }).catch((error: Error & { code?: string }) => ({ lost: /ECONNRESET|EPIPE/.test(error.code ?? '') }))
              const request = `${method} ${path}, ${wish}, ${name}`
              const asPlain = answers.get(request) ?? answer(plain)
              answers.set(request, asPlain)
              const [expected, actual] = await Promise.all([asPlain, answer(server)])
              if (isLarge && ('lost' in expected || 'lost' in actual)) continue
              t.same(actual, expected, `${mode}: ${request}`)
            }
          }
        }
      }
      await leavesNothing(t, server)
    }
    await leavesNothing(t, plain)
  })
}

t.test('a connection goes on after a wish that was ignored', async (t) => {
  const server = await startServer(t, { setup: (app) => { mount(app, 'both') } })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  for (let round = 1; round <= 3; round++) {
    t.match(await exchange(server, '/echo', { method: 'POST', agent, headers: h2c, body: ['round ', `${round}`] }), { status: 200, body: `"body":"round ${round}"` })
  }
  t.equal(await connections(server), 1)
  agent.destroy()
  await leavesNothing(t, server)
})

t.test('an event stream for a client that would also speak HTTP/2', async (t) => {
  const server = await startServer(t, { setup: (app) => { mount(app, 'both') } })
  const socket = connect(server.port, '127.0.0.1')
  let text = ''
  socket.on('data', (piece) => { text += piece })
  socket.write('GET /live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQBAAAAAAIAAAAA\r\n\r\n')
  await until(() => text.includes('"hello"'), 'hello')
  socket.destroy()
  await until(() => server.app.tether.stats().streams === 0, 'the stream to be gone')
  await leavesNothing(t, server)
})

t.test('a client that leaves before or while it is answered', async (t) => {
  let waits = 0
  const server = await startServer(t, {
    setup: (app) => {
      mount(app, 'both')
      app.get('/never', () => {
        waits++
        return new Promise(() => {})
      })
      app.get('/endless', (_request, reply) => {
        reply.hijack()
        reply.raw.writeHead(200).write('on and on')
      })
    }
  })
  for (const [path, leave] of [['/never', 'end'], ['/never', 'resetAndDestroy'], ['/endless', 'end'], ['/endless', 'resetAndDestroy']] as const) {
    const before = waits
    const socket = connect(server.port, '127.0.0.1')
    let text = ''
    socket.on('data', (piece) => { text += piece })
    socket.on('error', () => {})
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n${Object.entries(handshake).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`)
    await until(() => path === '/never' ? waits > before : text.includes('on and on'), 'the handler')
    socket[leave]()
    await until(() => socket.closed, 'the connection to be closed')
  }
  await leavesNothing(t, server)
})

/** Sends requests on one connection, the last of which asks for an upgrade. */
function pipeline (server: Server, ...requests: Array<{ method?: string, path: string, headers?: Record<string, string>, body?: string }>) {
  const socket = connect(server.port, '127.0.0.1')
  const received = { socket, text: '' }
  socket.on('data', (piece) => { received.text += piece })
  socket.on('error', () => {})
  for (const { method = 'GET', path, headers = {}, body = '' } of requests) {
    const lines = Object.entries({ host: 'x', ...headers, ...body === '' ? {} : { 'content-type': 'text/plain', 'content-length': `${body.length}` } })
    socket.write(`${method} ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`)
  }
  return received
}

t.test('behind a request that is still being answered', async (t) => {
  for (const others of [false, true]) {
    let answer: Array<() => void> = []
    const server = await startServer(t, {
      fastify: { keepAliveTimeout: 300 },
      setup: (app) => {
        mount(app, 'both')
        app.get('/held', (_request, reply) => { answer.push(() => { reply.send('held') }) })
        if (others) app.server.on('upgrade', () => {})
      }
    })
    for (const before of [1, 2]) {
      const held = Array.from({ length: before }, () => ({ path: '/held' }))
      const webSocket = pipeline(server, ...held, { path: '/live', headers: handshake })
      const post = pipeline(server, ...held, { method: 'POST', path: '/echo', headers: h2c, body: 'a text' })
      await until(() => answer.length === 2 * before, 'the first requests')
      await turns(5)
      t.equal(webSocket.text + post.text, '')
      for (const each of answer) each()
      answer = []
      await until(() => /held[^]*held/.test(webSocket.text) || before === 1, 'the answers before')
      await until(() => webSocket.text.includes('101 Switching Protocols') && webSocket.text.includes('retry: '), 'the WebSocket')
      t.ok(webSocket.text.indexOf('101 Switching') > webSocket.text.lastIndexOf('held'), 'in order')
      await until(() => post.text.includes('"body":"a text"'), 'the answer to the POST')
      t.ok(post.text.indexOf('a text') > post.text.lastIndexOf('held'), 'in order')
      const isClosed = within(new Promise((resolve) => { webSocket.socket.once('close', resolve) }), 'the end', 600).catch(() => 'open')
      t.equal(await isClosed, 'open', 'no time for an idle connection cuts the WebSocket')
      webSocket.socket.destroy()
      post.socket.destroy()
    }
    await leavesNothing(t, server)
  }
})

t.test('a client that leaves behind a request that is never answered', async (t) => {
  let waits = 0
  const server = await startServer(t, {
    setup: (app) => {
      mount(app, 'both')
      app.get('/never', () => {
        waits++
        return new Promise(() => {})
      })
    }
  })
  for (const last of [{ path: '/live', headers: handshake }, { method: 'POST', path: '/echo', headers: h2c, body: 'a text' }]) {
    for (const first of ['/never', '/live']) {
      const before = waits
      const { socket } = pipeline(server, { path: first }, last)
      await until(() => first === '/never' ? waits > before : server.app.tether.stats().streams === 1, 'the first request')
      await turns(5)
      socket.end()
      await until(() => socket.closed, 'the connection to be closed')
      await until(() => server.app.tether.stats().streams === 0, 'the stream to be gone')
    }
  }
  await leavesNothing(t, server)
})

t.test('a WebSocket wherever the router finds the route', async (t) => {
  const cases: Array<{ name: string, fastify: object, route?: string, constraints?: Record<string, string>, paths: string[], headers?: Record<string, string> }> = [
    { name: 'rewriteUrl', fastify: { rewriteUrl: ({ url }: { url: string }) => url.replace(/^\/v1/, '') }, paths: ['/v1/live', '/live'] },
    { name: 'trailing slashes', fastify: { routerOptions: { ignoreTrailingSlash: true } }, paths: ['/live', '/live/', '/live/?x=1'] },
    { name: 'duplicate slashes', fastify: { routerOptions: { ignoreDuplicateSlashes: true } }, paths: ['//live', '///live'] },
    { name: 'upper case', fastify: { routerOptions: { caseSensitive: false } }, paths: ['/LIVE', '/Live?X=1'] },
    { name: 'semicolons', fastify: { routerOptions: { useSemicolonDelimiter: true } }, paths: ['/live;x=1'] },
    { name: 'encoded URLs', fastify: {}, paths: ['/l%69ve', '/%6Cive'] },
    { name: 'a URL that is not ASCII', fastify: {}, route: '/räume/live', paths: ['/r%C3%A4ume/live'] },
    { name: 'a parameter with a pattern', fastify: {}, route: '/:room(^\\d{2}$)-:name/live', paths: ['/12-a%2Fb/live'] },
    { name: 'a host', fastify: {}, constraints: { host: 'live.example' }, paths: ['/live'], headers: { host: 'live.example' } },
    { name: 'a version', fastify: {}, constraints: { version: '1.2.0' }, paths: ['/live'], headers: { 'accept-version': '1.x' } }
  ]
  for (const others of [false, true]) {
    for (const { name, fastify, route = '/live', constraints, paths, headers = {} } of cases) {
      const server = await startServer(t, {
        fastify: fastify as FastifyServerOptions,
        setup: (app) => {
          if (constraints !== undefined) app.addHook('onRoute', (options) => { options.constraints = constraints })
          app.tether.stateful(route, { contract, on, mode: 'websocket' })
          if (others) app.server.on('upgrade', () => {})
        }
      })
      for (const path of paths) {
        const reader = await openSocket(server, path, { session: 'new' }, { headers })
        await until(() => reader.controls.length > 0, `hello at ${path}`)
        t.match(await reader.ask({ event: 'ping', data: {} }), { status: 202 }, `${name}: ${path}${others ? ', beside others' : ''}`)
        reader.destroy()
      }
      await leavesNothing(t, server)
    }
  }
})

t.test('beside others who listen', async (t) => {
  const theirs = new WebSocketServer({ noServer: true })
  const handled: string[] = []
  const server = await startServer(t, {
    setup: (app) => {
      mount(app, 'both')
      app.get('/theirs', async () => { handled.push('GET /theirs') })
      app.server.on('upgrade', (request, socket, head) => {
        // As a proxy does, which must connect first.
        if (request.url === '/theirs') setTimeout(() => { theirs.handleUpgrade(request, socket, head, (peer) => { peer.send('data: theirs\n\n') }) }, 50)
        if (request.headers.upgrade === 'own') socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: own\r\nConnection: Upgrade\r\n\r\n')
      })
    }
  })
  const other = await openSocket(server, '/theirs')
  await until(() => other.updates.length === 1, 'their message')
  other.destroy()
  t.match(await exchange(server, '/echo', { headers: { connection: 'upgrade', upgrade: 'own' } }), { status: 101 }, 'a protocol of theirs')
  t.match(await exchange(server, '/echo', { method: 'POST', body: ['text'], headers: { ...h2c, 'content-length': '4' } }), { status: 200, body: '"text"' })
  t.match(await exchange(server, '/live', { method: 'GET', headers: { ...handshake, 'sec-websocket-key': 'short' } }), { status: 400 })
  t.match(server.log.filter(({ level }) => level >= 40), [])
  await leavesNothing(t, server)
})

t.test('refused at a route of ours, beside others who listen', async (t) => {
  const server = await startServer(t, {
    setup: (app) => {
      app.addHook('onRequest', async (_request, reply) => reply.code(401).send('who?'))
      mount(app, 'websocket')
      app.server.on('upgrade', () => {})
    }
  })
  t.match(await exchange(server, '/live', { headers: handshake }), { status: 401, body: 'who?' })
  await leavesNothing(t, server)
})
