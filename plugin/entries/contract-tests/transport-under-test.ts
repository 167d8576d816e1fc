import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import type { TetherOptions } from '../../app/api.ts'
import type { Protocol } from '../../carriers/carrier.ts'
import type { UpgradeOptions } from '../../streams/transport.ts'
import type { Carriage } from './live.ts'

/** A transport, as the contract uses it. */
export interface TransportUnderTest<Server extends ServerUnderTest = ServerUnderTest> {
  /** The prefix of each case's name. */
  readonly name: string
  /** The protocol under which the server counts the streams. */
  readonly protocol: Protocol
  /**
   * Starts an application for one case on a free port of the loopback, with any proxy that belongs to the transport.
   * It makes the application with `needs.fastify`, registers the plugin with `needs.tether`, calls `needs.mount` and listens.
   */
  start: (scope: Scope, needs: ServerNeeds) => Promise<Server>
  /** Asks for a session, and does not wait for it. The case destroys the tab at its end. */
  begin: (server: Server, wanted: SessionRequest) => Tab
}

/** One run of one case. */
export interface Scope {
  /** Registers a function for the end of the case, passed or failed. The case waits for each; the last one runs first. */
  after: (end: () => unknown) => void
}

/** One case's needs of its server. */
export interface ServerNeeds {
  /** Options of Fastify: a log that the case reads. */
  readonly fastify: Pick<FastifyServerOptions, 'logger'>
  /** Options of the plugin. */
  readonly tether: TetherOptions
  /** Options of the function that makes streams, `app.tether.sse.upgrade` or the like. */
  readonly upgrade: Pick<UpgradeOptions, 'writeBuffer' | 'heartbeatMs' | 'stallTimeoutMs'>
  /**
   * Mounts the case's sessions at `/live`, and its other routes. Call it once, after the registration of the plugin.
   *
   * @param carriage `mode`, `upgrade` and `fallback` of `stateful`, made with {@link ServerNeeds.upgrade}
   */
  mount: (app: FastifyInstance, carriage: Carriage) => void
}

/** A server that listens. */
export interface ServerUnderTest {
  readonly app: FastifyInstance
  /** The address for clients, with the port: `http://127.0.0.1:4711`. */
  readonly origin: string
}

/** A tab's request for a session. */
export interface SessionRequest {
  /** URL of the sessions, with the query. Its port may belong to a link before the server that can fail. */
  readonly url: string
  /** The session to name: `new`, or an id that may be malformed. */
  readonly session: string
  /** The tab's last update, in the form of `Last-Event-ID`; undefined for none. */
  readonly lastEventId: string | undefined
  /** Headers of each of the tab's requests, in lower case. */
  readonly headers: Readonly<Record<string, string>>
}

/** A client that reads and posts for one session. */
export interface Tab {
  /** The text of the event stream so far, decompressed. The stream has no ids. */
  readonly text: string
  /** Whether the stream came to its proper end. */
  readonly ended: boolean
  /** Whether nothing more will come, properly ended or not. */
  readonly closed: boolean
  /** Stops reading: once all buffers are full, the server can write no more. */
  pause: () => void
  resume: () => void
  /** Destroys the connection, without a goodbye. */
  destroy: () => void
  /** Sends a body, an envelope or an array of them, and returns the answer. A string goes out unchanged, as JSON. */
  emit: (body: unknown) => Promise<EventAnswer>
  /** Sends `tether.close`: the page goes away. */
  leave: () => Promise<EventAnswer>
  /** Acknowledges updates. Resolves when the server knows. */
  acknowledge: (lastEventId: string) => Promise<void>
  /** Waits for the end of a tab that gets no session. */
  rejection: () => Promise<Rejection>
}

/** The answer to a body: these fields, and the fields of the answer's JSON. */
export interface EventAnswer {
  /** The HTTP status, or its equivalent. */
  readonly status: number
  /** Number of events accepted before, from `X-Tether-Known`; absent without that header. */
  readonly known?: number
  /** Seconds, from `Retry-After`; absent without that header. */
  readonly retryAfter?: number
  readonly [field: string]: unknown
}

/** The outcome for a tab that got no session. */
export type Rejection =
  /** The tab should not come back: 204, or the equivalent. */
  | 'gone'
  /** The tab may come back later: 503, or the equivalent. */
  | 'later'
  /** The status of an error of the tab. */
  | number
