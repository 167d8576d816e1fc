import type { EventEmitter } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import type { ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import t from 'tap'
import { fill } from './harness/fill.ts'
import { connectSession } from './harness/http2-connection.ts'
import { startLive } from './harness/live.ts'
import { watchTimers } from './harness/timers.ts'
import { turns, until, within } from './harness/until.ts'

const timers = watchTimers()
t.teardown(() => timers.stop())

/** How many listeners an emitter has for each event. */
function listenersOf (emitter: EventEmitter): Record<string, number> {
  return Object.fromEntries(emitter.eventNames().map((event) => [String(event), emitter.listenerCount(event)]))
}

t.test('http/1.1: a connection that is kept for the next request carries nothing over', async (t) => {
  const server = await startLive(t, { live: { reconnectMs: 0 }, upgrade: { writeBuffer: 1 } })
  const sockets: Socket[] = []
  server.app.server.on('connection', (socket: Socket) => { sockets.push(socket) })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const counts: Array<Record<string, number>> = []
  for (let round = 0; round < 4; round++) {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get(`${server.origin}/live`, { agent, headers: { accept: 'text/event-stream' } }, resolve).on('error', reject)
    })
    response.pause()
    const session = await until(() => [...server.live.sessions][0], 'the session')
    const { blocked } = await fill(session)
    response.resume()
    t.equal(await within(blocked, 'the blocked send'), true)
    const ended = new Promise((resolve) => response.on('end', resolve))
    await within(session.close(), 'close()')
    await within(ended, 'the end of the body')
    await turns(20)
    counts.push(listenersOf(sockets[0]!))
  }
  t.equal(sockets.length, 1, 'one connection for all')
  for (const count of counts) t.same(count, counts[0])
  await until(() => timers.active === 0, 'timers to go')
})

for (const protocol of ['h2c', 'h2'] as const) {
  t.test(`${protocol}: a connection carries one stream after another, and keeps nothing of them`, async (t) => {
    const server = await startLive(t, { protocol, live: { reconnectMs: 0 }, upgrade: { writeBuffer: 1 } })
    const connections: ServerHttp2Session[] = []
    server.app.server.on('session', (session: ServerHttp2Session) => { connections.push(session) })
    const client = connectSession(server)
    t.teardown(() => client.destroy())
    const counts: Array<[Record<string, number>, Record<string, number>]> = []
    for (let round = 0; round < 4; round++) {
      const stream = client.request({ ':path': '/live', accept: 'text/event-stream' })
      stream.pause()
      const session = await until(() => [...server.live.sessions][0], 'the session')
      const { blocked } = await fill(session)
      stream.on('error', () => {})
      stream.resume()
      t.equal(await within(blocked, 'the blocked send'), true)
      const closed = new Promise((resolve) => stream.on('close', resolve))
      if (round % 2 === 0) await within(session.close(), 'close()')
      else stream.close()
      await within(closed, 'the end of the stream')
      await until(() => server.app.tether.stats().sessions === 0, 'the session to go')
      await turns(20)
      const [connection] = connections
      // Node's stand-in for the socket gives the socket's own listeners.
      counts.push([listenersOf(connection!), Object.fromEntries(['close', 'drain', 'error', 'timeout'].map((event) => [event, connection!.socket.listenerCount(event)]))])
    }
    t.equal(connections.length, 1, 'one connection for all')
    for (const count of counts) t.same(count, counts[0])
    await until(() => timers.active === 0, 'timers to go')
  })
}
