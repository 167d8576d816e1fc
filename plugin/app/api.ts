import type { EventSchemas, UpdateDefinitions } from '../../schemas/contract.ts'
import type { Protocol } from '../carriers/carrier.ts'
import type { CompressionStats } from '../compression/compression.ts'
import type { Figures } from '../metrics/figures.ts'
import type { StatefulConfig } from '../routes/stateful-config.ts'
import type { Handler } from '../sessions/api.ts'
import type { AccessOptions } from '../sessions/config.ts'
import type { SessionRefusals } from '../sessions/session-registry.ts'
import type { Upgrade, UpgradeOptions } from '../streams/transport.ts'
import type { WebSocketUpgrade, WebSocketUpgradeOptions } from '../websocket/websocket-upgrade.ts'

/** Options of `app.register(tether, options)`; they hold for all sessions of the instance together. */
export interface TetherOptions extends AccessOptions {
  /** Sessions at one time, with or without a stream; beyond, new ones are refused. At least 1. Default 10,000. */
  maxSessions?: number
  /**
   * Of these, sessions of one owner: who `bind` names, or where it names nobody, the
   * public address of the request (an IPv6 one by its first 64 bits); loopback and private
   * addresses own nothing. Beyond, new ones are refused as over `maxSessions`. 0: no limit.
   * Default 200, and a tenth of `maxSessions` for an address.
   */
  maxSessionsPerOwner?: number
  /** Sessions whose stream was opened on one HTTP/2 connection; beyond, new ones are refused. 0: no limit. Default 200. */
  maxSessionsPerConnection?: number
  /**
   * Sessions that may be without a stream at one time; beyond, the oldest of whoever has most go,
   * those first that never posted nor resumed. 0: none. Default a quarter of `maxSessions`.
   */
  maxDetached?: number
  /** Sessions made by `prepare` that wait for their page. 0: `prepare` gives null. Default 128. */
  maxPending?: number
  /** Milliseconds that they wait. At least 1. Default 30,000. */
  pendingMs?: number
  /**
   * Bytes of memory for updates that all sessions and transports hold together, shared ones
   * counted once, and for events that wait or run, which may have half of it. Beyond, who
   * holds most loses first, of each what was written before what waits; events get 429. At
   * least 1. Default 268,435,456.
   */
  maxBufferedBytes?: number
  /**
   * Bytes of memory for compressors that belong to one stream each; beyond, streams
   * share what is deflated once for all. 0: no stream has one. Default 67,108,864.
   */
  maxCompressorBytes?: number
}

/** Options of `app.tether.drain()`; whole numbers of milliseconds. */
export interface DrainOptions {
  /** How long to wait for the streams to end; then they are cut. 0: at once. Default 10,000. */
  timeoutMs?: number
  /** Soonest that a client is told to come back. Default 1,000. */
  retryMs?: number
  /** A random part on top, up to this, so that they do not all come back at once. 0: none. Default 10,000. */
  spreadMs?: number
}

/** Figures of all sessions and streams of the instance. */
export interface TetherStats extends Figures {
  /** Sessions now, those that are being closed included. */
  sessions: number
  /** Of these, with a full write buffer, their loop standing still. */
  stalled: number
  /** Of these, without a stream. */
  detached: number
  /** Of these, prepared and not claimed yet. */
  pending: number
  /** Open streams, of sessions and of plain routes. */
  streams: number
  /** These, by what they travel by. */
  protocols: Record<Protocol, number>
  /** Sessions refused since the plugin was registered, by the limit that was reached; `pipelined`: their GET was sent behind another. */
  refusals: SessionRefusals
  /** Bytes of updates held for all of them, shared ones counted once. */
  bufferedBytes: number
  /** About what memory these take, with events that wait or run; what `maxBufferedBytes` bounds. Bytes. */
  bufferedMemory: number
  /** Of this, events that wait or run. Bytes. */
  commandMemory: number
  /** What compressed streams were given, and what it became. */
  compression: CompressionStats
}

/** What `app.tether` is. */
export interface Tether {
  readonly sse: {
    /**
     * Gives the function that turns a request into a stream of server-sent events:
     * for `stateful`, or for any route of your own.
     *
     * @throws `FST_ERR_TETHER_OPTION` for an option that cannot be.
     */
    upgrade: (options?: UpgradeOptions) => Upgrade
  }
  readonly websocket: {
    /**
     * Gives the function that turns a WebSocket of `@fastify/websocket` into a stream:
     * for `stateful`, in mode `'websocket'` or `'both'`, or for a route of your own.
     *
     * @throws `FST_ERR_TETHER_OPTION` for an option that cannot be.
     */
    upgrade: (options?: WebSocketUpgradeOptions) => WebSocketUpgrade
  }
  /**
   * Mounts live sessions on this instance: `GET url` (the stream), `POST url` and
   * `POST url/:event` (events), with its prefix, hooks and decorators. Write `initialState`
   * before the handlers, or give its parameter a type: the state is inferred from it.
   *
   * @returns what broadcasts, groups and finds the sessions of this URL.
   * @throws `FST_ERR_TETHER_OPTION`, `FST_ERR_TETHER_MODE` or `FST_ERR_TETHER_CONTRACT`
   * for a configuration that cannot work. A URL that is taken fails when the
   * instance gets ready, as any route does.
   * @see docs/api.md, docs/options.md
   */
  stateful: <Events extends EventSchemas, Updates extends UpdateDefinitions, State = undefined>(url: string, config: StatefulConfig<Events, Updates, State>) => Handler<State, Updates>
  /**
   * Prepares for a stop: refuses new sessions, runs what was accepted, writes what
   * waits, and ends every stream with a goodbye and a `retry:` spread over time.
   *
   * @returns a promise that resolves when all sessions and streams have ended; what is
   * left when time is up is cut. A further call waits for the same, within its own
   * time. There is no way back. It rejects only with `FST_ERR_TETHER_OPTION`.
   */
  drain: (options?: DrainOptions) => Promise<void>
  /** Figures as they are now. */
  stats: () => TetherStats
}
