import type { Test } from 'tap'
import type { Protocol, WebSocketUpgradeOptions } from '../../../plugin/index.ts'
import { startLive, type LiveOptions, type LiveServer, type LiveSession } from './live.ts'
import { startReader, type Json, type Reader } from './reader.ts'
import { request } from './request.ts'
import type { Server, Protocol as ServerProtocol } from './server.ts'
import { until } from './until.ts'
import { startSocket, type SocketReader } from './web-socket.ts'

/** What a tab says of the session that it wants. */
export interface TabOptions {
  /** Default `new`. */
  session?: string
  lastEventId?: string
  /** Query of the URL, with its question mark. */
  query?: string
  headers?: Record<string, string>
  /** Another port than the server's own. */
  port?: number
}

/** A client of one session, which reads and posts. */
export interface Tab extends Reader {
  /** Sends one body, an envelope or an array of them, and gives the answer. Text goes out as it is. */
  emit: (body: unknown) => Promise<Json>
  /** Says which updates it has. */
  acknowledge: (lastEventId: string) => Promise<void>
}

/** What became of a tab that got no session. */
export type Rejection =
  /** It need not come back. */
  | 'gone'
  /** It may come back later. */
  | 'later'
  /** Something is wrong with it: a status. */
  | number

/** One way to carry sessions, as a contract test uses it. */
export interface TransportUnderTest {
  readonly name: string
  readonly protocol: Protocol
  start: (t: Test, options?: Omit<LiveOptions, 'upgrade' | 'socket'> & { upgrade?: WebSocketUpgradeOptions }) => Promise<LiveServer>
  /** Asks for a session, and waits for nothing. */
  begin: (server: Server, options?: TabOptions) => Tab
  /** Waits for the end of a tab that gets no session. */
  rejection: (tab: Tab) => Promise<Rejection>
}

/** Opens a tab and waits for its hello. */
export async function openTab (transport: TransportUnderTest, server: LiveServer, options?: TabOptions): Promise<{ tab: Tab, hello: Json, session: LiveSession }> {
  const tab = transport.begin(server, options)
  const hello = await until(() => tab.controls.find(({ type }) => type === 'hello'), 'the hello frame')
  const session = await until(() => server.live.get(hello.session as string), 'the session')
  return { tab, hello, session }
}

function eventStream (name: string, protocol: Protocol, serverProtocol: ServerProtocol): TransportUnderTest {
  return {
    name,
    protocol,
    start: (t, options = {}) => startLive(t, { ...options, protocol: serverProtocol }),
    begin: (server, { session = 'new', lastEventId, query = '', headers = {}, port } = {}) => {
      const reader = startReader(server, `/live${query}`, {
        headers: { ...headers, 'x-tether-session': session, ...lastEventId === undefined ? {} : { 'last-event-id': lastEventId } },
        ...port === undefined ? {} : { port }
      })
      const post = async (body: unknown, path = '/live', more: Record<string, string> = {}) => {
        const type: Record<string, string> = typeof body === 'string' ? { 'content-type': 'application/json' } : {}
        return request(server, path, { method: 'POST', body, headers: { ...type, ...headers, ...more, 'x-tether-session': reader.session } })
      }
      return Object.assign(reader, {
        emit: async (body: unknown) => {
          const isLeaving = (body as { event?: string }).event === 'tether.close'
          const answer = isLeaving ? await post({}, '/live/tether.close') : await post(body)
          const { 'retry-after': after, 'x-tether-known': known } = answer.headers
          return { status: answer.status, ...answer.json, ...known === undefined ? {} : { known: Number(known) }, ...after === undefined ? {} : { retryAfter: Number(after) } }
        },
        acknowledge: async (last: string) => {
          await post({ event: 'ping', data: {} }, '/live', { 'last-event-id': last })
        }
      })
    },
    rejection: async (tab) => {
      await tab.opened
      if (tab.status === 204) return 'gone'
      return tab.status === 503 ? 'later' : tab.status
    }
  }
}

const webSocket: TransportUnderTest = {
  name: 'WebSocket',
  protocol: 'websocket',
  start: (t, { upgrade, live, ...options } = {}) => startLive(t, {
    ...options,
    live: { mode: 'websocket', ...live },
    ...upgrade === undefined ? {} : { socket: upgrade }
  }),
  begin: (server, { session = 'new', lastEventId, query = '', headers = {}, port } = {}) => {
    const reader = startSocket(server, `/live${query}`, { headers, ...port === undefined ? {} : { port } })
    reader.opened.then(() => { reader.send({ session, ...lastEventId === undefined ? {} : { lastEventId } }) }, () => {})
    return Object.assign(reader, {
      emit: async (body: unknown) => {
        const { type, ...answer } = await reader.ask(body)
        return answer
      },
      acknowledge: async (last: string) => {
        reader.send({ lastEventId: last })
        await reader.ask({ event: 'ping', data: {} })
      }
    })
  },
  rejection: async (tab) => {
    const { closeCode, answers } = await until(() => tab.closed && tab as Tab & SocketReader, 'the end of the socket')
    if (tab.status !== 101) return tab.status
    if (closeCode === 4410) return 'gone'
    if (closeCode === 1013) return 'later'
    return answers.at(-1)?.status as number
  }
}

export const transports = {
  http1: eventStream('server-sent events over HTTP/1.1', 'http/1.1', 'http/1.1'),
  h2c: eventStream('server-sent events over cleartext HTTP/2', 'http/2', 'h2c'),
  h2: eventStream('server-sent events over HTTP/2 with TLS', 'http/2', 'h2'),
  webSocket
}
