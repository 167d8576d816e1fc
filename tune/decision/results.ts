import type { Advice } from './advice.ts'
import type { Estimate } from './capacity.ts'
import type { Limit } from './limit.ts'
import type { MemoryFit } from './memory.ts'
import type { Noise } from './noise.ts'
import type { Verdict } from './verdict.ts'
import type { Machine } from '../measure/machine.ts'
import type { Step } from '../measure/step.ts'
import type { Interval } from '../statistics/bootstrap.ts'
import type { Knee } from '../statistics/knee.ts'
import type { Scalability } from '../statistics/scalability.ts'

/** Name and version of the format. */
export const format = 'fastify-tether/tune/1'

/** The law as fitted, with the intervals of its terms; null where too few resamples had a fit. */
export interface ScalabilityFit extends Scalability {
  readonly contentionInterval: Interval | null
  readonly coherencyInterval: Interval | null
  /** Load of the greatest throughput; null where throughput does not fall among the loads that were measured. */
  readonly peak: number | null
}

/** All figures of a run, as `--json` writes them. @see docs/tune.md */
export interface Results {
  readonly format: typeof format
  readonly startedAt: string
  readonly finishedAt: string
  /** Whether the run came to its end. */
  readonly complete: boolean
  readonly settings: {
    readonly url: string
    readonly events: string
    readonly transport: string
    readonly readers: Readonly<Record<string, number>>
    /** Events a client and second. */
    readonly rate: number
    readonly maxClients: number
    readonly minutes: number
    readonly quick: boolean
  }
  readonly machine: Machine
  /** Node.js of the server; null from outside only. */
  readonly serverNode: string | null
  /** Why the server gave no figures of its own; null if it did. */
  readonly outside: string | null
  readonly verdict: Verdict
  readonly exitCode: number
  /** What holds all objectives together; null if nothing could be told. */
  readonly capacity: { readonly eventsPerSecond: Estimate, readonly clients: number } | null
  readonly objectives: ReadonlyArray<{ readonly name: string, readonly share: number, readonly limitMs: number, readonly capacity: Estimate | null }>
  readonly limit: Limit
  readonly limitReason: string
  /** Where throughput stops following the load: two straight lines. Null where no knee was found. */
  readonly knee: (Knee & { readonly interval: Interval | null }) | null
  /** Fit of the Universal Scalability Law to throughput by events a second; null with fewer than six loads. */
  readonly scalability: ScalabilityFit | null
  readonly memory: MemoryFit | null
  readonly noise: Noise & {
    /** Whether other processes disturbed every step in which an objective did not hold, so that the capacity cannot be told. */
    readonly hidesCapacity: boolean
  }
  readonly remarks: readonly string[]
  readonly advice: readonly Advice[]
  /** The capacity of several nodes, by plain multiplication; null without a cluster. */
  readonly extrapolation: { readonly nodes: number, readonly eventsPerSecond: number, readonly isExtrapolated: true } | null
  readonly steps: readonly Step[]
}
