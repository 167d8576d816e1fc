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

export const clientKinds = ['eventsource', 'launchdarkly', 'chromium'] as const

export type ClientKind = typeof clientKinds[number]
