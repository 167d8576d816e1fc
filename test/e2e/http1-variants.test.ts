import { get, type IncomingMessage } from 'node:http'
import { get as getOverTls } from 'node:https'
import { connect, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { certificate } from './harness/certificate.ts'
import { parseBlocks } from '../../plugin/entries/contract-tests/event-block.ts'
import { fill } from './harness/fill.ts'
import { startLive } from './harness/live.ts'
import { turns, until, within } from './harness/until.ts'

/** A bare connection, and what came over it. */
function dial (t: Test, port: number): { socket: Socket, received: () => string } {
  let text = ''
  const socket = connect(port, '127.0.0.1')
  socket.setEncoding('utf8')
  socket.on('data', (piece: string) => { text += piece })
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  return { socket, received: () => text }
}

t.test('HTTP/1.0 has no chunks: the stream is delimited by its end', async (t) => {
  const server = await startLive(t, { live: { reconnectMs: 0 } })
  const { socket, received } = dial(t, server.port)
  socket.write('GET /live HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n')
  const session = await until(() => [...server.live.sessions][0], 'the session')
  session.send('row', 'one')
  session.send('row', 'zwei: ü')
  await until(() => received().includes('zwei'), 'the updates')
  session.send('row', 'x'.repeat(200_000))
  const closed = new Promise((resolve) => socket.on('close', resolve))
  await within(session.close(), 'close()')
  await within(closed, 'the end of the connection')
  const [head = '', ...rest] = received().split('\r\n\r\n')
  t.match(head, /^HTTP\/1\.1 200 /)
  t.notMatch(head, /transfer-encoding/i)
  const body = rest.join('')
  t.same(parseBlocks(body).map(({ event, data }) => [event, event === 'row' ? data : '']), [
    ['tether', ''], ['row', 'one'], ['row', 'zwei: ü'], ['row', 'x'.repeat(200_000)], ['tether', '']
  ])
})

t.test('a request that is pipelined behind another gets its stream when that is answered', async (t) => {
  let release = () => {}
  const gate = new Promise<void>((resolve) => { release = resolve })
  const server = await startLive(t, {
    setup: (app) => {
      app.get('/slow', async () => {
        await gate
        return 'answered'
      })
    },
    live: { queueFrames: 100_000, queueBytes: 100_000_000 }
  })
  const { socket, received } = dial(t, server.port)
  socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /live HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n')
  const session = await until(() => [...server.live.sessions][0], 'the session')
  await until(() => session.connected, 'the stream')
  for (let number = 1; number <= 100; number++) session.send('row', `${number} `.padEnd(2_000, '.'))
  await turns(20)
  t.equal(received(), '', 'nothing before the answer to the first')
  t.ok(session.stats.bytesWritten < 100_000, `no more than a piece or two waits outside of the outbox: ${session.stats.bytesWritten}`)
  release()
  await until(() => received().includes('100 ..'), 'all updates')
  t.ok(received().indexOf('answered') < received().indexOf('text/event-stream'), 'in the order of the requests')
  const numbers = [...received().matchAll(/data: (\d+) \./g)].map((match) => Number(match[1]))
  t.same(numbers, Array.from({ length: 100 }, (_, index) => index + 1))
  session.send('row', 'last')
  await until(() => received().includes('data: last'), 'an update afterwards')
})

t.test('Connection: close ends with the stream', async (t) => {
  const server = await startLive(t)
  const { socket, received } = dial(t, server.port)
  socket.write('GET /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: text/event-stream\r\n\r\n')
  const session = await until(() => [...server.live.sessions][0], 'the session')
  await until(() => received().includes('"hello"'), 'the hello frame')
  const closed = new Promise((resolve) => socket.on('close', resolve))
  await within(session.close(), 'close()')
  await within(closed, 'the end of the connection')
  t.ok(received().endsWith('\r\n0\r\n\r\n'), 'with the last chunk')
})

t.test('a client that ends its side of the connection is gone', async (t) => {
  const server = await startLive(t, { live: { reconnectMs: 0 } })
  const { socket, received } = dial(t, server.port)
  socket.write('GET /live HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n')
  await until(() => received().includes('"hello"'), 'the hello frame')
  const [session] = server.live.sessions
  socket.end()
  session?.send('row', 'written to nobody')
  await until(() => server.app.tether.stats().sessions === 0, 'the session to go')
  t.same(server.errors(), [])
})

t.test('HTTP/1.1 over TLS: blocks, goes on, and ends', async (t) => {
  const server = await startLive(t, { fastify: { https: certificate() } as never, live: { reconnectMs: 0 } })
  const { port } = server.app.server.address() as AddressInfo
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    getOverTls({ host: '127.0.0.1', port, path: '/live', ca: certificate().cert, agent: false, headers: { accept: 'text/event-stream' } }, resolve).on('error', reject)
  })
  t.teardown(() => response.destroy())
  response.setEncoding('utf8')
  const session = await until(() => [...server.live.sessions][0], 'the session')
  const { sent, blocked } = await fill(session)
  let text = ''
  response.on('data', (piece: string) => { text += piece })
  t.equal(await within(blocked, 'the blocked send'), true)
  const ended = new Promise((resolve) => response.on('end', resolve))
  await within(session.close(), 'close()')
  await within(ended, 'the end')
  t.same(parseBlocks(text).filter((block) => block.event === 'row').map((block) => block.id), Array.from({ length: sent }, (_, index) => `${session.id}.${index + 1}`))
  t.match(parseBlocks(text).at(-1)?.data, /goodbye/)
})

t.test('a server of HTTP/2 that allows HTTP/1.1 serves both, and closes', async (t) => {
  const server = await startLive(t, { protocol: 'h2', fastify: { http2: true, https: { ...certificate(), allowHTTP1: true } } as never })
  const first = await server.connect()
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    getOverTls({ host: '127.0.0.1', port: server.port, path: '/live', ca: certificate().cert, agent: false, headers: { accept: 'text/event-stream' } }, resolve).on('error', reject)
  })
  t.teardown(() => response.destroy())
  let text = ''
  response.setEncoding('utf8')
  response.on('data', (piece: string) => { text += piece })
  await until(() => server.live.stats.connected === 2, 'both sessions')
  server.live.broadcast('row', 'for both')
  await until(() => first.reader.updates.length === 1 && text.includes('for both'), 'the update')
  const startedAt = performance.now()
  await within(server.app.close(), 'close()')
  t.ok(performance.now() - startedAt < 10_000)
})

t.test('an HTTP client of Node\'s own reads it too', async (t) => {
  const server = await startLive(t)
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${server.origin}/live`, { headers: { accept: 'text/event-stream' } }, resolve).on('error', reject)
  })
  t.teardown(() => response.destroy())
  let text = ''
  response.setEncoding('utf8')
  response.on('data', (piece: string) => { text += piece })
  await until(() => text.includes('"hello"'), 'the hello frame')
  server.live.broadcast('row', 'shared')
  await until(() => text.includes('data: shared'), 'the update')
  t.equal(response.statusCode, 200)
})
