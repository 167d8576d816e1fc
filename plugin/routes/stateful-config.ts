import type { EventSchemas, UpdateDefinitions } from '../../schemas/contract.ts'
import type { SessionConfig } from '../sessions/config.ts'
import type { Upgrade } from '../streams/transport.ts'
import type { WebSocketUpgrade } from '../websocket/websocket-upgrade.ts'

/** The second argument of `stateful`. `on` may be left out where the contract has no events. */
export type StatefulConfig<Events extends EventSchemas, Updates extends UpdateDefinitions, State> = SessionConfig<Events, Updates, State> & HandlersNeeded<Events> & TransportParts

// Beside the handlers' types, not around them: behind a condition the compiler does not infer their parameters.
type HandlersNeeded<Events> = [keyof Events] extends [never] ? { on?: Record<string, never> } : { on: {} }

/** What carries the sessions, and by what. */
type TransportParts = EventStreamParts | WebSocketParts | BothParts

interface EventStreamParts {
  /**
   * What carries the sessions: server-sent events, WebSockets, or both, where a
   * GET that asks for an upgrade gets a WebSocket and any other an event stream.
   * WebSockets take the package `@fastify/websocket`. Default `'sse'`.
   */
  mode?: 'sse' | undefined
  /** The transport: what `app.tether.sse.upgrade(options)` returns. Default: that, without options. */
  upgrade?: Upgrade
  /** The same, where `upgrade` names none. */
  fallback?: Upgrade
}

interface WebSocketParts {
  /** WebSockets alone; see the package `@fastify/websocket`. */
  mode: 'websocket'
  /** The transport: what `app.tether.websocket.upgrade(options)` returns. Default: that, without options. */
  upgrade?: WebSocketUpgrade
  fallback?: undefined
}

interface BothParts {
  /** A WebSocket for a GET that asks for one, an event stream for any other. */
  mode: 'both'
  /** The transport: what `app.tether.websocket.upgrade(options)` returns. Default: that, without options. */
  upgrade?: WebSocketUpgrade
  /** What clients fall back to: what `app.tether.sse.upgrade(options)` returns. Default: that, without options. */
  fallback?: Upgrade
}

export type AnyStatefulConfig = StatefulConfig<any, any, any>
