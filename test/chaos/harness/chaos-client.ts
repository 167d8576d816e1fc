import type { ServerProtocol } from './messages.ts'
import type { Observation } from '../../../plugin/entries/contract-tests.ts'
import type { UplinkStats } from './uplink.ts'

/** A client of a chaos run, of any kind. */
export interface ChaosClient {
  readonly kind: ClientKind
  /** Returns the observations since the last call, in order. */
  take: () => Promise<Observation[]>
  /** Triggers `count` events. */
  act: (count: number) => Promise<void>
  /** Returns the state of the client's events. */
  uplink: () => Promise<{ unacknowledged: number, stats: UplinkStats }>
  close: () => Promise<void>
}

/**
 * The EventSources of two packages and of Chromium, and the library's own client in Node and in
 * Chromium. That client uses an event stream, WebSockets alone, WebSockets with a fallback, or
 * HTTP/2 in clear text or with TLS. All accept gzip except one of the packages and the client in clear text.
 */
export const clientKinds = ['eventsource', 'launchdarkly', 'chromium', 'tether', 'tether-chromium', 'tether-websocket', 'tether-websocket-chromium', 'tether-both', 'tether-h2c', 'tether-h2'] as const

export type ClientKind = typeof clientKinds[number]
export type ChromiumKind = Extract<ClientKind, 'chromium' | `${string}-chromium`>

/** The protocol of the client's server. */
export function protocolOf (kind: ClientKind): ServerProtocol {
  return kind === 'tether-h2c' ? 'h2c' : kind === 'tether-h2' ? 'h2' : 'http/1.1'
}

export function isChromiumKind (kind: ClientKind): kind is ChromiumKind {
  return kind.endsWith('chromium')
}
