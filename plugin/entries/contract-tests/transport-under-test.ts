import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import type { TetherOptions } from '../../app/api.ts'
import type { Protocol } from '../../carriers/carrier.ts'
import type { UpgradeOptions } from '../../streams/transport.ts'
import type { Carriage } from './live.ts'

/** One way to carry sessions: what the contract needs of it. */
export interface TransportUnderTest<Server extends ServerUnderTest = ServerUnderTest> {
  /** Stands before the name of each case. */
  readonly name: string
  /** What the server counts its streams as. */
  readonly protocol: Protocol
  /**
   * Starts an application of its own for one case, with all that stands before it, on a free port of the loopback:
   * makes it with `needs.fastify`, registers the plugin with `needs.tether`, calls `needs.mount`, listens.
   */
  start: (scope: Scope, needs: ServerNeeds) => Promise<Server>
  /** Asks for a session, and waits for nothing. The case destroys the tab when it ends. */
  begin: (server: Server, wanted: SessionRequest) => Tab
}

/** One run of one case. */
export interface Scope {
  /** Calls a function when the case is over, however it went, and waits for it; the last one given is called first. */
  after: (end: () => unknown) => void
}

/** What one case asks of its server. */
export interface ServerNeeds {
  /** Options of Fastify: a log that the case reads. */
  readonly fastify: Pick<FastifyServerOptions, 'logger'>
  /** Options of the plugin. */
  readonly tether: TetherOptions
  /** Options of the function that makes streams, `app.tether.sse.upgrade` or the like. */
  readonly upgrade: Pick<UpgradeOptions, 'writeBuffer' | 'heartbeatMs' | 'stallTimeoutMs'>
  /**
   * Mounts the case's sessions at `/live` and what else it needs; once, after the plugin has been registered.
   *
   * @param carriage `mode`, `upgrade` and `fallback` of `stateful`, to be made with {@link ServerNeeds.upgrade}
   */
  mount: (app: FastifyInstance, carriage: Carriage) => void
}

/** A server that listens. */
export interface ServerUnderTest {
  readonly app: FastifyInstance
  /** Where clients find it, with its port: `http://127.0.0.1:4711`. */
  readonly origin: string
}

/** What a tab asks for. */
export interface SessionRequest {
  /** URL of the sessions, query included. Its port may be that of a piece of network before the server, which fails. */
  readonly url: string
  /** The session that it names: `new`, or an id that may be malformed. */
  readonly session: string
  /** What it has, as `Last-Event-ID` says it; undefined when it has nothing. */
  readonly lastEventId: string | undefined
  /** Headers of each request that it makes, in lower case. */
  readonly headers: Readonly<Record<string, string>>
}

/** A client of one session, which reads and posts. */
export interface Tab {
  /** The whole text of the stream so far, as an event stream has it, decompressed; a stream without ids. */
  readonly text: string
  /** Whether the stream came to its proper end. */
  readonly ended: boolean
  /** Whether nothing more will come, properly ended or not. */
  readonly closed: boolean
  /** Stops reading: once all buffers are full, the server can write no more. */
  pause: () => void
  resume: () => void
  /** Leaves without a word: destroys the connection. */
  destroy: () => void
  /** Sends a body, an envelope or an array of them, and gives the answer. Text goes out as it is, as JSON. */
  emit: (body: unknown) => Promise<EventAnswer>
  /** Says that its page goes away: `tether.close`. */
  leave: () => Promise<EventAnswer>
  /** Tells the server which updates it has; resolves when the server knows. */
  acknowledge: (lastEventId: string) => Promise<void>
  /** Waits for the end of a tab that gets no session. */
  rejection: () => Promise<Rejection>
}

/** What is answered to a body: the fields of its JSON, and these. */
export interface EventAnswer {
  /** As that of HTTP. */
  readonly status: number
  /** Events that were known already, as `X-Tether-Known` says; left out when that is. */
  readonly known?: number
  /** Seconds, as `Retry-After` says; left out when that is. */
  readonly retryAfter?: number
  readonly [field: string]: unknown
}

/** What became of a tab that got no session. */
export type Rejection =
  /** It need not come back: 204, or what says the same. */
  | 'gone'
  /** It may come back later: 503, or what says the same. */
  | 'later'
  /** Something is wrong with it: a status. */
  | number
