import type { EventSchemas, UpdateDefinitions } from '../../schemas/contract.ts'
import type { OptionsOf, optionTable } from '../../schemas/option-table.ts'
import type { Protocol } from '../carriers/carrier.ts'
import type { CompressionStats } from '../compression/compression.ts'
import type { Figures } from '../metrics/figures.ts'
import type { StatefulConfig } from '../routes/stateful-config.ts'
import type { Handler } from '../sessions/api.ts'
import type { AccessOptions } from '../sessions/config.ts'
import type { SessionRefusals } from '../sessions/session-registry.ts'
import type { Upgrade, UpgradeOptions } from '../streams/transport.ts'
import type { WebSocketUpgrade, WebSocketUpgradeOptions } from '../websocket/websocket-upgrade.ts'

/** Options of `app.register(tether, options)`. They hold for all sessions of the registered plugin together. */
export interface TetherOptions extends AccessOptions, OptionsOf<typeof optionTable.plugin> {}

/** Options of `app.tether.drain()`. */
export interface DrainOptions extends OptionsOf<typeof optionTable.drain> {}

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
