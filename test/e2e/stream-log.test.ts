import { once } from 'node:events'
import type { Socket } from 'node:net'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import t from 'tap'
import WebSocket from 'ws'
import tether from '../../plugin/index.ts'
import { contract, silent } from './harness/contract.ts'
import { startLive, type LiveServer } from './harness/live.ts'
import { openReader } from './harness/reader.ts'
import { post } from './harness/request.ts'
import { rows, sendRows } from './harness/rows.ts'
import { until } from './harness/until.ts'
import { exactly } from './harness/claim.ts'
import { openSocket } from './harness/web-socket.ts'

const message = 'a tether stream ended'

function ends ({ log }: LiveServer): Array<Record<string, unknown>> {
  return log.filter(({ msg }) => msg === message)
}

for (const protocol of ['http/1.1', 'h2c'] as const) {
  t.test(`each stream of a session has one line at its end, ${protocol}`, async (t) => {
    const server = await startLive(t, { protocol })
    const first = await server.connect()
    const { session } = first
    sendRows(session, 1, 3)
    await until(() => rows(first.reader).length === 3, 'three rows')
    t.same(ends(server), [], 'nothing while it is open')
    first.reader.destroy()
    await until(() => !session.connected, 'the disconnect')
    const again = await server.connect({ headers: exactly(session.id, 3) })
    sendRows(session, 4, 5)
    await until(() => rows(again.reader).length === 2, 'two rows')
    const other = await server.connect({ headers: exactly(session.id, 5) })
    await until(() => again.reader.closed || again.reader.ended, 'the end of the stream that was taken over')
    await session.close()
    await until(() => ends(server).length === 3, 'three lines')
    t.match(ends(server), [
      { level: 30, reason: 'client', updates: 3, protocol: protocol === 'h2c' ? 'http/2' : 'http/1.1' },
      { level: 30, reason: 'replaced', updates: 2 },
      { level: 30, reason: 'closed', updates: 0 }
    ])
    for (const { session: named, ms, bytes, reqId } of ends(server)) {
      t.equal(named, `${session.id.slice(0, 6)}…`)
      t.type(reqId, 'string', 'through the request\'s logger')
      t.ok(Number.isInteger(ms) && (ms as number) >= 0 && (ms as number) < 60_000)
      t.ok((bytes as number) > 100 && (bytes as number) < 5_000, `${String(bytes)} bytes`)
    }
    t.notOk(JSON.stringify(server.log).includes(session.id), 'no line has the whole id')
    other.reader.destroy()
  })
}

t.test('so has a WebSocket', async (t) => {
  const server = await startLive(t, { live: { mode: 'websocket' } })
  const reader = await openSocket(server, '/live', { session: 'new' })
  await until(() => reader.controls.length > 0, 'hello')
  server.live.get(reader.session)!.send('row', '1')
  await until(() => rows(reader).length === 1, 'a row')
  reader.destroy()
  await until(() => ends(server).length === 1, 'the line')
  t.match(ends(server), [{ level: 30, reason: 'client', protocol: 'websocket', updates: 1, session: `${reader.session.slice(0, 6)}…` }])
})

t.test('so has a stream without a session', async (t) => {
  const server = await startLive(t, {
    setup: (app) => {
      const upgrade = app.tether.sse.upgrade({ retryMs: 0 })
      app.get('/plain', async (request, reply) => {
        const stream = await upgrade(request, reply)
        await stream.send({ data: 'one' })
        await stream.send({ data: 'two' })
        if ((request.query as { end?: string }).end === 'yes') await stream.close()
      })
    }
  })
  const ended = await openReader(server, '/plain?end=yes')
  await until(() => ended.ended, 'the end')
  await until(() => ends(server).length === 1, 'the line')
  const left = await openReader(server, '/plain')
  await until(() => left.text.includes('two'), 'what was sent')
  left.destroy()
  await until(() => ends(server).length === 2, 'the other line')
  t.match(ends(server), [{ reason: 'closed', updates: 2, protocol: 'http/1.1' }, { reason: 'client', updates: 2 }])
  t.equal(ends(server)[0]!.bytes, Buffer.byteLength(ended.text), 'the bytes of its text')
  t.notOk('session' in ends(server)[0]!)
})

t.test('onResponse runs for a stream that the server ended, and onRequestAbort for one whose client left', async (t) => {
  const ran: string[] = []
  const server = await startLive(t, {
    live: { mode: 'both' },
    setup: (app) => {
      app.addHook('onResponse', ({ method, url }, _reply, done) => { ran.push(`onResponse ${method} ${url}`); done() })
      app.addHook('onRequestAbort', ({ method, url }, done) => { ran.push(`onRequestAbort ${method} ${url}`); done() })
    }
  })
  const left = await server.connect()
  left.reader.destroy()
  await until(() => ran.length > 0 && ends(server).length === 1, 'the end')
  const closed = await server.connect()
  await closed.session.close()
  await until(() => ran.length > 1 && ends(server).length === 2, 'the other end')
  const socket = await openSocket(server, '/live', { session: 'new' })
  await until(() => socket.controls.length > 0, 'hello')
  socket.destroy()
  await until(() => ends(server).length === 3, 'the end of the socket')
  t.same(ran, ['onRequestAbort GET /live', 'onResponse GET /live'], 'neither for the WebSocket')
})

t.test('session.log names the session in each line, by the beginning of its id', async (t) => {
  const server = await startLive(t, {
    live: { on: { say: (session, { text }) => { session.log.info({ text }, 'said') } } }
  })
  const { session } = await server.connect()
  t.equal(session.log, session.log, 'made once')
  await post(server, session.id, { event: 'say', data: { text: 'hello' } })
  await until(() => server.log.some(({ msg }) => msg === 'said'), 'the line')
  t.match(server.log.find(({ msg }) => msg === 'said'), { level: 30, session: `${session.id.slice(0, 6)}…`, text: 'hello' })
  session.log.child({ more: true }).warn('a child of it')
  t.match(server.log.at(-1), { level: 40, session: `${session.id.slice(0, 6)}…`, more: true })
  t.notOk(JSON.stringify(server.log).includes(session.id))
})

for (const isForeign of [false, true]) {
  t.test(`what a stranger sends over a WebSocket is counted, and fills no log at the usual levels${isForeign ? ', with the @fastify/websocket of the application' : ''}`, async (t) => {
    const server = await startLive(t, { live: { mode: 'websocket', maxEventBytes: 1_000 }, setup: async (app) => { if (isForeign) await app.register(websocket, { options: { maxPayload: 10_000 } }) } })
    const wrong: Array<[what: string, send: (socket: WebSocket) => void]> = [
      ['a binary message', (socket) => { socket.send(Buffer.from([1])) }],
      ['no opening', (socket) => { socket.send('hello') }],
      ['a reserved bit', (socket) => { (socket as unknown as { _socket: Socket })._socket.write(Buffer.from([0xf1, 0x81, 0, 0, 0, 0, 0])) }],
      ['a frame that is not masked', (socket) => { (socket as unknown as { _socket: Socket })._socket.write(Buffer.from([0x81, 0x01, 0x41])) }],
      ['too many bytes', (socket) => { socket.send(JSON.stringify({ session: 'new', text: 'x'.repeat(100_000) })) }]
    ]
    for (const [index, [what, send]] of wrong.entries()) {
      const socket = new WebSocket(`ws://127.0.0.1:${server.port}/live`)
      socket.on('error', () => {})
      const closed = once(socket, 'close')
      await once(socket, 'open')
      server.log.splice(0)
      send(socket)
      await closed
      await until(() => server.app.tether.stats().socketFaults === index + 1, what)
      await until(() => server.app.tether.stats().streams === 0, 'the end of the stream')
      t.strictSame(server.log.filter(({ level, msg }) => level >= 30 && msg !== message), [], what)
      t.ok(server.log.some(({ level }) => level === 20), `${what} is at level debug`)
    }
  })
}

t.test('what we register has names', async (t) => {
  const app = Fastify()
  const handlers: Record<string, string[]> = {}
  const kinds = ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization', 'onSend', 'onResponse', 'onTimeout', 'onError', 'onRequestAbort'] as const
  app.addHook('onRoute', ({ method, url, handler, ...route }) => {
    handlers[`${String(method)} ${url}`] = [handler, ...kinds.flatMap((kind) => [route[kind] ?? []].flat() as Function[])].map(({ name }) => name)
  })
  await app.register(tether)
  app.tether.stateful('/live', { contract, on: silent })
  app.tether.stateful('/both', { contract, on: silent, mode: 'both' })
  await app.ready()
  t.teardown(() => app.close())
  t.ok(Object.keys(handlers).length > 8)
  for (const [route, names] of Object.entries(handlers)) t.notOk(names.includes(''), `${route}: ${names.join(', ')}`)
  const plugins = app.printPlugins()
  for (const name of ['fastify-tether', 'tetherRoutes', 'tetherEvents']) t.match(plugins, name)
  t.notMatch(plugins, /=>|function|anonymous/)
})
