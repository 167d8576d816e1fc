import type { Objective } from '../input/options.ts'
import { decode, percentile } from '../statistics/histogram.ts'
import type { Flow } from '../statistics/little.ts'

/** Percentiles in milliseconds, of all values of one kind in a step; null without values. */
export interface Latency {
  readonly count: number
  readonly p50: number | null
  readonly p90: number | null
  readonly p99: number | null
  readonly p999: number | null
  readonly max: number | null
  /** All values: a compressed HDR histogram of microseconds, as Base64. */
  readonly histogram: string
}

/** What the server's own figures say of a step's window. */
export interface ServerStep {
  readonly eventsPerSecond: number
  /** Share of the time in which the event loop was busy. */
  readonly loop: number
  /** Processors in use, of all threads. */
  readonly processors: number
  readonly collectionShare: number
  /** Events that waited or ran, on average, and at the end of the window. */
  readonly present: number
  readonly backlog: number
  /** Mean milliseconds of a handler, from its start to its end. */
  readonly runMs: number
  /** Of the time that events waited or ran, the share in sessions that stood still because their write buffer was full. */
  readonly heldShare: number
  readonly updatesPerSecond: number
  readonly updateBytes: number
  readonly disconnects: number
  /** Open streams at the end of the window, the probes among them. */
  readonly streams: number
  /** Bytes in the sockets of all streams at the end of the window. */
  readonly socketBytes: number
  readonly handlerErrors: number
  readonly flow: Flow
  /** After a garbage collection behind the window. */
  readonly memory: StepMemory
}

export interface StepMemory {
  readonly residentBytes: number
  /** Heap and external bytes, without the updates and events that the library holds. */
  readonly heldBytes: number
  readonly sessions: number
  /** Events since the start of the server. */
  readonly events: number
  /** Sessions that the run has opened so far. */
  readonly opened: number
}

export type StepKind = 'ramp' | 'control' | 'measured'

/** One load for one window of time. */
export interface Step {
  readonly kind: StepKind
  readonly repeat: number
  readonly clients: number
  /** Events a second that were asked for. */
  readonly load: number
  /** Events a second that were due in the window, by chance a little more or less. */
  readonly offered: number
  /** Events a second that were handled, or accepted where the server gives no figures. */
  readonly achieved: number
  readonly seconds: number
  /** From the intended time of an event to the answer to it. */
  readonly answer: Latency
  /** From the intended time of a ping to its pong, behind what waits for that reader. */
  readonly ping: Latency
  /** From the acceptance of an event to the end of its handler; empty without the server's figures. */
  readonly handled: Latency
  /** From a broadcast's arrival at the first probe to its arrival at another. */
  readonly spread: Latency
  /** Shares of the events that were due. */
  readonly busyShare: number
  readonly refusedShare: number
  readonly failedShare: number
  readonly statuses: Readonly<Record<string, number>>
  readonly lostStreams: number
  readonly probe: {
    readonly updatesPerSecond: number
    readonly updateBytes: number
    /** Why the server answers no pings; null if it does. */
    readonly silent: string | null
  }
  readonly server: ServerStep | null
  readonly generator: {
    /** Share of the window in which the busiest process of the generator was busy. */
    readonly busy: number
    /** p99 of the milliseconds by which events were sent too late. */
    readonly lagMs: number
    /** `present / (rate * time)` of the requests; null where too few were on their way. */
    readonly little: number | null
  }
  readonly machine: {
    /** Share of the machine that a hypervisor gave to others. */
    readonly steal: number
    /** Share of the machine that other processes used; null where the server's share is not known. */
    readonly others: number | null
    /** Share of the time in which the server's event loop was ready to run, and had no processor; null where it is not known. */
    readonly waited: number | null
  }
  /** Why the step says nothing about the server; null if it does. */
  readonly void: string | null
}

/** Largest share of events without a 2xx. */
export const lostShareLimit = 0.01
/** A server that handles less than this share of what is due falls behind. */
const keepingUp = 0.97
/** So few events may be on their way at the end of a window by chance. */
const chance = 3

/** The latency that a step is judged by, at a share of the events: the worst of the three. */
export function latencyAt ({ answer, ping, handled }: Pick<Step, 'answer' | 'ping' | 'handled'>, share: number): number | null {
  const all = [answer, ping, handled].flatMap(({ count, histogram }) => count === 0 ? [] : percentile(decode(histogram), share) ?? [])
  return all.length === 0 ? null : Math.max(...all)
}

/** Whether a server that handles this number of events a second in a window falls behind what is due. */
export function fallsBehind ({ offered, achieved, seconds }: { readonly offered: number, readonly achieved: number, readonly seconds: number }): boolean {
  return achieved < offered - Math.max((1 - keepingUp) * offered, chance / seconds)
}

/** Whether the server handled what was due, and refused next to nothing. */
export function keptUp (step: Pick<Step, 'offered' | 'achieved' | 'seconds' | 'busyShare' | 'refusedShare' | 'failedShare'>): boolean {
  return !fallsBehind(step) && step.busyShare + step.refusedShare + step.failedShare <= lostShareLimit
}

/** Whether a step holds all objectives. */
export function holds (step: Omit<Step, 'void'>, objectives: readonly Objective[]): boolean {
  return keptUp(step) && objectives.every(({ share, limitMs }) => !((latencyAt(step, share) ?? 0) > limitMs))
}

/** The steps of each load together, in ascending order of the loads. */
export function byLoad (steps: readonly Step[]): Step[][] {
  const groups = new Map<number, Step[]>()
  for (const step of steps) {
    groups.set(step.load, [...groups.get(step.load) ?? [], step])
  }
  return [...groups.entries()].sort(([first], [second]) => first - second).map(([, group]) => group)
}
