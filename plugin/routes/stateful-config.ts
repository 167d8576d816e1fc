import type { FastifySchema, LogLevel, RouteShorthandOptions } from 'fastify'
import type { EventSchemas, TopicDefinitions, UpdateDefinitions } from '../../schemas/contract.ts'
import type { SessionConfig } from '../sessions/config.ts'
import type { Upgrade } from '../streams/transport.ts'
import type { WebSocketUpgrade } from '../websocket/websocket-upgrade.ts'

/** The second argument of `stateful`. `on` may be left out where the contract has no events. */
export type StatefulConfig<Events extends EventSchemas, Updates extends UpdateDefinitions, State, Topics extends TopicDefinitions = {}> = SessionConfig<Events, Updates, State, Topics> & HandlersNeeded<Events> & TransportParts & RoutePart

// This condition stands beside the handlers' types, not around them: there the compiler could not infer their parameters.
type HandlersNeeded<Events> = [keyof Events] extends [never] ? { on?: Record<string, never> } : { on: {} }

interface RoutePart {
  /** Options of all routes that are mounted: for the API document, for other plugins, and for Fastify's router and log. Default: none. */
  route?: RouteConfig
}

/** Options of Fastify for the routes of one `stateful` URL. */
export interface RouteConfig {
  /**
   * Parts of each route's schema, for the API document: `tags`, `security`, `hide`, `description`, `deprecated` and others. The parts
   * that follow from the contract (`body`, `headers`, `response` and the like), and `operationId`, are refused.
   */
  schema?: RouteSchema
  /** `request.routeOptions.config`, where other plugins look for their options. */
  config?: NonNullable<RouteShorthandOptions['config']> & Readonly<Record<string, unknown>>
  /** Level of the log of each request. */
  logLevel?: LogLevel
  /** Constraints of Fastify's router, such as `host` and `version`. */
  constraints?: NonNullable<RouteShorthandOptions['constraints']>
}

/** The parts of a route's schema that do not follow from the contract. */
export interface RouteSchema extends Omit<FastifySchema, 'body' | 'querystring' | 'params' | 'headers' | 'response'> {
  readonly hide?: boolean
  readonly tags?: readonly string[]
  readonly description?: string
  readonly summary?: string
  readonly deprecated?: boolean
  readonly security?: ReadonlyArray<Readonly<Record<string, readonly string[]>>>
  readonly externalDocs?: { readonly url: string, readonly description?: string }
  readonly [extension: `x-${string}`]: unknown
}

/** The choice of transports, by `mode`. */
type TransportParts = EventStreamParts | WebSocketParts | BothParts

interface EventStreamParts {
  /**
   * The transport of the sessions: `'sse'` for server-sent events, `'websocket'` for WebSockets,
   * or `'both'`: then a GET with an upgrade gets a WebSocket, and any other GET an event stream.
   * WebSockets need the package `@fastify/websocket`. Default `'sse'`.
   */
  mode?: 'sse' | undefined
  /** The transport, made by `app.tether.sse.upgrade(options)`. Default: made without options. */
  upgrade?: Upgrade
  /** Used if `upgrade` is left out; the same kind of value. */
  fallback?: Upgrade
}

interface WebSocketParts {
  /** WebSockets alone. They need the package `@fastify/websocket`. */
  mode: 'websocket'
  /** The transport: what `app.tether.websocket.upgrade(options)` returns. Default: that, without options. */
  upgrade?: WebSocketUpgrade
  fallback?: undefined
}

interface BothParts {
  /** A WebSocket for a GET with an upgrade, an event stream for any other GET. */
  mode: 'both'
  /** The transport: what `app.tether.websocket.upgrade(options)` returns. Default: that, without options. */
  upgrade?: WebSocketUpgrade
  /** The transport of clients without a WebSocket, made by `app.tether.sse.upgrade(options)`. Default: made without options. */
  fallback?: Upgrade
}

export type AnyStatefulConfig = StatefulConfig<any, any, any, any>
