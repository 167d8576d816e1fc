import type { Observation } from './observation.ts'
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
 * Chromium: reading an event stream, over WebSockets alone, and over what gets through. All but
 * one of the packages accept gzip.
 */
export const clientKinds = ['eventsource', 'launchdarkly', 'chromium', 'tether', 'tether-chromium', 'tether-websocket', 'tether-websocket-chromium', 'tether-both'] as const

export type ClientKind = typeof clientKinds[number]
export type ChromiumKind = Extract<ClientKind, 'chromium' | `${string}-chromium`>

export function isChromiumKind (kind: ClientKind): kind is ChromiumKind {
  return kind.endsWith('chromium')
}
