import type { ServerNeeds, TransportUnderTest } from '../../../plugin/entries/contract-tests.ts'
import type { Protocol, Tether } from '../../../plugin/index.ts'
import { startReader } from './reader.ts'
import { request } from './request.ts'
import { startServer, type Server, type Protocol as ServerProtocol } from './server.ts'
import { until } from './until.ts'
import { startSocket } from './web-socket.ts'

/** Makes the function that starts a server of `protocol`; `carry` gives the transport of its sessions. */
function starter (protocol: ServerProtocol, carry: (tether: Tether, upgrade: ServerNeeds['upgrade']) => Parameters<ServerNeeds['mount']>[1]): TransportUnderTest<Server>['start'] {
  return (scope, { fastify, tether, upgrade, mount }) => startServer({ teardown: (end) => { scope.after(end) } }, {
    protocol,
    fastify,
    tether,
    setup: (app) => { mount(app, carry(app.tether, upgrade)) }
  })
}

/** Port and path of a URL, of the server or of a link before it. */
function target (url: string): { port: number, path: string } {
  const { port, pathname, search } = new URL(url)
  return { port: Number(port), path: pathname + search }
}

function eventStream (name: string, protocol: Protocol, serverProtocol: ServerProtocol): TransportUnderTest<Server> {
  return {
    name,
    protocol,
    start: starter(serverProtocol, ({ sse }, upgrade) => ({ upgrade: sse.upgrade(upgrade) })),
    begin: (server, { url, session, lastEventId, headers }) => {
      const { port, path } = target(url)
      const reader = startReader(server, path, {
        headers: { ...headers, 'x-tether-session': session, ...lastEventId === undefined ? {} : { 'last-event-id': lastEventId } },
        port
      })
      const post = async (body: unknown, path = '/live', more: Record<string, string> = {}) => {
        const type: Record<string, string> = typeof body === 'string' ? { 'content-type': 'application/json' } : {}
        const answer = await request(server, path, { method: 'POST', body, headers: { ...type, ...headers, ...more, 'x-tether-session': reader.session } })
        const { 'retry-after': after, 'x-tether-known': known } = answer.headers
        return { status: answer.status, ...answer.json, ...known === undefined ? {} : { known: Number(known) }, ...after === undefined ? {} : { retryAfter: Number(after) } }
      }
      return Object.assign(reader, {
        emit: (body: unknown) => post(body),
        leave: () => post({}, '/live/tether.close'),
        acknowledge: async (last: string) => {
          await post({ event: 'ping', data: {} }, '/live', { 'last-event-id': last })
        },
        rejection: async () => {
          await reader.opened
          if (reader.status === 204) return 'gone' as const
          return reader.status === 503 ? 'later' as const : reader.status
        }
      })
    }
  }
}

const webSocket: TransportUnderTest<Server> = {
  name: 'WebSocket',
  protocol: 'websocket',
  start: starter('http/1.1', ({ websocket }, upgrade) => ({ mode: 'websocket', upgrade: websocket.upgrade(upgrade) })),
  begin: (server, { url, session, lastEventId, headers }) => {
    const { port, path } = target(url)
    const reader = startSocket(server, path, { headers: { ...headers }, port })
    reader.opened.then(() => { reader.send({ session, ...lastEventId === undefined ? {} : { lastEventId } }) }, () => {})
    const emit = async (body: unknown) => {
      const { type, ...answer } = await reader.ask(body)
      return answer as { status: number }
    }
    return Object.assign(reader, {
      emit,
      leave: () => emit({ event: 'tether.close', data: {} }),
      acknowledge: async (last: string) => {
        reader.send({ lastEventId: last })
        await reader.ask({ event: 'ping', data: {} })
      },
      rejection: async () => {
        await until(() => reader.closed, 'the end of the socket')
        if (reader.status !== 101) return reader.status
        if (reader.closeCode === 4410) return 'gone' as const
        if (reader.closeCode === 1013) return 'later' as const
        return reader.answers.at(-1)?.status as number
      }
    })
  }
}

export const transports = {
  http1: eventStream('server-sent events over HTTP/1.1', 'http/1.1', 'http/1.1'),
  h2c: eventStream('server-sent events over cleartext HTTP/2', 'http/2', 'h2c'),
  h2: eventStream('server-sent events over HTTP/2 with TLS', 'http/2', 'h2'),
  webSocket
}
