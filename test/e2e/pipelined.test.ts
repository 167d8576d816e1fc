import { connect, type Socket } from 'node:net'
import t from 'tap'
import { startLive, type LiveServer } from './harness/live.ts'
import { turns, until } from './harness/until.ts'
import type { DisconnectReason } from '../../plugin/index.ts'

const count = 30

/** Asks for many streams on one connection, of which only the first can be answered. */
function pipeline ({ port, readers }: LiveServer, path: string) {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  readers.add(socket)
  socket.resume().write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`.repeat(count))
  return socket
}

t.test('of GETs behind each other on one connection the first has a session, which goes with it', async (t) => {
  const reasons: DisconnectReason[] = []
  const server = await startLive(t, { live: { reconnectMs: 0, onDisconnect: (_session, reason) => { reasons.push(reason) } } })
  const socket = pipeline(server, '/live')
  await until(() => server.live.stats.connected === 1, 'the session')
  await until(() => server.app.tether.stats().refusals.pipelined === count - 1, 'the refusal of the others')
  socket.destroy()
  await until(() => server.app.tether.stats().sessions === 0, 'the end of the session')
  t.same(reasons, ['client'])
  t.equal(server.app.tether.stats().streams, 0)
  t.same(server.errors(), [])
})

t.test('plain streams go with it as well, and a session that was still being made', async (t) => {
  let closed = 0
  let made = 0
  let goOn = () => {}
  const wait = new Promise<void>((resolve) => { goOn = resolve })
  const sockets: Socket[] = []
  const server = await startLive(t, {
    setup: (app) => {
      app.server.on('connection', (socket: Socket) => { sockets.push(socket) })
      app.get('/plain', async (request, reply) => {
        const stream = await app.tether.sse.upgrade()(request, reply)
        stream.closed.then(() => { closed++ })
      })
    },
    live: {
      initialState: async () => {
        made++
        await wait
      }
    }
  })
  const plain = pipeline(server, '/plain')
  await until(() => server.app.tether.stats().streams === count, 'all streams')
  plain.destroy()
  await until(() => closed === count, 'the end of all streams')

  const early = pipeline(server, '/live')
  await until(() => made === 1, 'the first request')
  early.destroy()
  await until(() => sockets.every((socket) => socket.closed), 'the server to know')
  goOn()
  await turns(50)
  t.match(server.app.tether.stats(), { sessions: 0, streams: 0 })
  t.same(server.errors(), [])
})
