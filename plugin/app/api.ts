import type { FastifyRequest } from 'fastify'
import type { EventSchemas, TopicDefinitions, UpdateDefinitions } from '../../schemas/contract.ts'
import type { OptionsOf, optionTable } from '../../schemas/option-table.ts'
import type { Protocol } from '../carriers/carrier.ts'
import type { Cluster, ClusterOptions, ClusterStatus } from '../cluster/api.ts'
import type { EngineSource } from '../cluster/engine.ts'
import type { CompressionStats } from '../compression/compression.ts'
import type { Figures } from '../metrics/figures.ts'
import type { StatefulConfig } from '../routes/stateful-config.ts'
import type { Handler } from '../sessions/api.ts'
import type { AccessOptions } from '../sessions/config.ts'
import type { SessionRefusals } from '../sessions/session-registry.ts'
import type { Upgrade, UpgradeOptions } from '../streams/transport.ts'
import type { WebSocketUpgrade, WebSocketUpgradeOptions } from '../websocket/websocket-upgrade.ts'

/** Options of `app.register(tether, options)`. They hold for all sessions of the registered plugin together. */
export interface TetherOptions extends AccessOptions, OptionsOf<typeof optionTable.plugin> {
  /**
   * Joins this process with the other nodes of the application: an engine, or an object with an engine and options. Then
   * broadcasts reach the sessions of all nodes, in one order. Default: none, this process is alone.
   *
   * @see docs/cluster.md
   */
  cluster?: EngineSource | ClusterOptions
  /**
   * Mounts `GET <url>/tether.tuning` beside each `stateful` URL: figures of this process, as JSON, for
   * `npx fastify-tether tune`. Default: none, there is no such route, and events are not timed.
   *
   * @see docs/tune.md
   */
  tuning?: TuningOptions
}

/** The option `tuning`. */
export interface TuningOptions {
  /**
   * Decides on each request for the figures; it may return a promise. It must be given, since the figures show the load of
   * the process. False, nothing, and whatever it throws refuse the request with `FST_ERR_TETHER_TUNING`, 403; what it throws
   * is logged at level `debug`.
   */
  authorize: (request: FastifyRequest<any, any, any, any, any, any, any>) => unknown
}

/** Options of `app.tether.drain()`. */
export interface DrainOptions extends OptionsOf<typeof optionTable.drain> {}

/** Figures of all sessions and streams of the instance. */
export interface TetherStats extends Figures {
  /** Sessions now, including those that are closing. */
  sessions: number
  /** Sessions whose write buffer is full and whose loop is stalled. */
  stalled: number
  /** Sessions without a stream. */
  detached: number
  /** Prepared sessions that no page has claimed yet. */
  pending: number
  /** Open streams, of sessions and of plain routes. */
  streams: number
  /** Open streams by protocol. */
  protocols: Record<Protocol, number>
  /** Sessions refused since the plugin was registered, by the limit that was reached. `pipelined` counts those whose GET was sent behind another. */
  refusals: SessionRefusals
  /** WebSockets that ended because of what their client sent: frames that break the protocol, binary or too large messages, a bad opening. */
  socketFaults: number
  /** Bytes of updates held for all sessions and streams; shared updates count once. */
  bufferedBytes: number
  /** Approximate bytes of memory for those updates, and for events that wait or run. `maxBufferedBytes` bounds it. */
  bufferedMemory: number
  /** Bytes of `bufferedMemory` for events that wait or run. */
  commandMemory: number
  /** Bytes into and out of the compression of streams. */
  compression: CompressionStats
}

/** Whether this process should get new clients. */
export interface TetherHealth {
  /** False while the server drains or closes, and while the cluster takes this node for dead. */
  ok: boolean
  /** Whether `drain` was called, or the application is closing. */
  draining: boolean
  /** Sessions now, including those that are closing. */
  sessions: number
  /** The option `maxSessions`. */
  maxSessions: number
  /** How the node stands to the others; null without the option `cluster`. */
  cluster: ClusterStatus | null
}

/** The decorator `app.tether`. */
export interface Tether {
  readonly sse: {
    /**
     * Makes the function that turns a request into a stream of server-sent events,
     * for `stateful` or for any route of your own.
     *
     * @throws `FST_ERR_TETHER_OPTION` for an option that is not allowed.
     */
    upgrade: (options?: UpgradeOptions) => Upgrade
  }
  readonly websocket: {
    /**
     * Makes the function that turns a WebSocket of `@fastify/websocket` into a stream,
     * for `stateful` in mode `'websocket'` or `'both'`, or for a route of your own.
     *
     * @throws `FST_ERR_TETHER_OPTION` for an option that is not allowed.
     */
    upgrade: (options?: WebSocketUpgradeOptions) => WebSocketUpgrade
  }
  /**
   * Mounts live sessions on this instance: `GET url` (the stream), `POST url` and
   * `POST url/:event` (events), with its prefix, hooks and decorators. Write `initialState`
   * before the handlers, or give its parameter a type: the state is inferred from it.
   *
   * @returns the handler that broadcasts to, groups and finds the sessions of this URL.
   * @throws `FST_ERR_TETHER_OPTION`, `FST_ERR_TETHER_MODE` or `FST_ERR_TETHER_CONTRACT`
   * for a configuration that cannot work. A URL that is taken already fails like any other
   * route, when the instance becomes ready.
   * @see docs/api.md, docs/options.md
   */
  stateful: <Events extends EventSchemas, Updates extends UpdateDefinitions, State = undefined, Topics extends TopicDefinitions = {}>(url: string, config: StatefulConfig<Events, Updates, State, Topics>) => Handler<State, Updates, Topics>
  /**
   * Prepares for a stop. It refuses new sessions, runs accepted events, writes waiting
   * updates, and ends every stream with a goodbye and a `retry:` spread over time.
   *
   * @returns a promise that resolves when all sessions and streams have ended. After `timeoutMs`
   * the rest is cut. Another call waits for the same drain, within its own time. A drain cannot
   * be undone. The promise rejects only with `FST_ERR_TETHER_OPTION`.
   */
  drain: (options?: DrainOptions) => Promise<void>
  /** The nodes of the application; null without the option `cluster`. */
  readonly cluster: Cluster | null
  /** Gives the current figures. */
  stats: () => TetherStats
  /** Tells, at once and without waiting for anything, whether a balancer should send new clients here. For readiness probes. */
  health: () => TetherHealth
}
