import type { ServerProtocol } from './messages.ts'
import type { Observation } from '../../../plugin/entries/contract-tests.ts'
import type { UplinkStats } from './uplink.ts'

/** A client of a chaos run, whatever it is made of. */
export interface ChaosClient {
  readonly kind: ClientKind
  /** What came since the last look, in order. */
  take: () => Promise<Observation[]>
  /** Triggers so many events. */
  act: (count: number) => Promise<void>
  /** How its events fare. */
  uplink: () => Promise<{ unacknowledged: number, stats: UplinkStats }>
  close: () => Promise<void>
}

/**
 * The EventSources of two packages and of Chromium, and the library's own client in Node and in
 * Chromium: reading an event stream, over WebSockets alone, over what gets through, and over
 * HTTP/2 in clear text and by TLS. All accept gzip but one of the packages and the client in clear text.
 */
export const clientKinds = ['eventsource', 'launchdarkly', 'chromium', 'tether', 'tether-chromium', 'tether-websocket', 'tether-websocket-chromium', 'tether-both', 'tether-h2c', 'tether-h2'] as const

export type ClientKind = typeof clientKinds[number]
export type ChromiumKind = Extract<ClientKind, 'chromium' | `${string}-chromium`>

/** What its server speaks. */
export function protocolOf (kind: ClientKind): ServerProtocol {
  return kind === 'tether-h2c' ? 'h2c' : kind === 'tether-h2' ? 'h2' : 'http/1.1'
}

export function isChromiumKind (kind: ClientKind): kind is ChromiumKind {
  return kind.endsWith('chromium')
}
