import type { Objective } from '../input/options.ts'
import { fallsBehind, lostShareLimit, latencyAt, type Step } from '../measure/step.ts'
import { bootstrap } from '../statistics/bootstrap.ts'
import { median } from '../statistics/quantile.ts'

/** An estimate, and the interval of its true value with 95 % confidence. */
export interface Estimate {
  readonly estimate: number
  readonly interval: readonly [low: number, high: number]
  /** Whether the largest load that was measured still held, so that the true value is at least this. */
  readonly atLeast: boolean
}

/** What a step says about one objective. */
export interface Sample {
  readonly load: number
  readonly offered: number
  readonly achieved: number
  /** Length of the window. */
  readonly seconds: number
  readonly latencyMs: number | null
  readonly lostShare: number
  /** The part of it that got 429, since command channels were full. */
  readonly busyShare: number
}

/** No repeats show errors that all of them share: the clock, the grid of loads. */
const leastError = 0.02
/** Fewer repeats than this say next to nothing of the noise. */
const leastRepeats = 3
const errorOfFew = 0.1
/** Fewer events than this are refused by chance. */
const leastBusy = 6

export function sampleFor (step: Step, objective: Objective): Sample {
  return {
    load: step.load,
    offered: step.offered,
    achieved: step.achieved,
    seconds: step.seconds,
    latencyMs: latencyAt(step, objective.share),
    lostShare: step.busyShare + step.refusedShare + step.failedShare,
    busyShare: step.busyShare
  }
}

/** Events a second at which an objective still holds. Null without loads. */
export function capacityOf (loads: ReadonlyArray<readonly Sample[]>, limitMs: number): Estimate | null {
  const ascending = loads.filter((samples) => samples.length > 0).toSorted(([first], [second]) => first!.load - second!.load)
  const found = pointOf(ascending, limitMs)
  if (found === null) return null
  const interval = bootstrap(ascending, (groups) => pointOf(groups, limitMs)?.value ?? null)
  const [low, high] = interval === null ? [0, found.value] : [interval.low, interval.high]
  const error = median(ascending.map(({ length }) => length)) < leastRepeats ? errorOfFew : leastError
  return {
    estimate: found.value,
    interval: [Math.min(low, found.value * (1 - error)), Math.max(high, found.value * (1 + error))],
    atLeast: found.atLeast
  }
}

function pointOf (loads: ReadonlyArray<readonly Sample[]>, limitMs: number): { value: number, atLeast: boolean } | null {
  const points = loads.map((samples) => ({
    load: samples[0]!.load,
    isBehind: samples.filter(fallsBehind).length > samples.length / 2,
    latencyMs: median(samples.flatMap(({ latencyMs }) => latencyMs ?? [])),
    lostShare: median(samples.map(({ lostShare }) => lostShare)),
    samples
  }))
  const [first] = points
  if (first === undefined) return null
  const holds = points.map(({ isBehind, latencyMs, lostShare }, index) => !isBehind && lostShare <= lostShareLimit && !(latencyMs > limitMs) && !isBusy(loads.slice(0, index + 1)))
  // One load that fails between two that hold is noise.
  const last = holds.lastIndexOf(true)
  // What a server does when it has too much is what it can do; other work, and more load, only ever make it less.
  const saturated = points.filter(({ isBehind }, index) => index > last && isBehind).map(({ samples }) => median(samples.map(({ achieved }) => achieved)))
  const most = saturated.length === 0 ? Infinity : Math.max(...saturated)
  if (last === -1) {
    // Events that are refused though the others are handled in time are refused at any load.
    const isRefusing = (first.lostShare > lostShareLimit || isBusy(loads)) && !(first.latencyMs > limitMs)
    return { value: isRefusing || (first.latencyMs > limitMs && !first.isBehind) ? 0 : Math.min(most, first.load), atLeast: false }
  }
  const held = points[last]!
  const next = points[last + 1]
  if (next === undefined) return { value: held.load, atLeast: true }
  return { value: Math.max(held.load * 0.9, Math.min(most, crossing(held, next, limitMs))), atLeast: false }
}

/**
 * Whether full command channels refuse too many of the events at these loads together. A channel does not refuse less under more
 * load, so one load at which hardly any was refused by chance says nothing beside others.
 */
function isBusy (loads: ReadonlyArray<readonly Sample[]>): boolean {
  const samples = loads.flat()
  const due = samples.reduce((sum, { offered, seconds }) => sum + offered * seconds, 0)
  const busy = samples.reduce((sum, { offered, seconds, busyShare }) => sum + offered * seconds * busyShare, 0)
  return busy >= leastBusy && busy > lostShareLimit * due
}

interface Place {
  readonly load: number
  readonly latencyMs: number
}

/** Where the latency reaches the limit between a load that holds and the next: on a logarithmic scale, since queues grow so. */
function crossing (held: Place, next: Place, limitMs: number): number {
  if (!(next.latencyMs > limitMs)) return next.load
  const from = Math.log(Math.max(held.latencyMs, 0.01))
  const share = held.latencyMs > 0 ? (Math.log(limitMs) - from) / (Math.log(next.latencyMs) - from) : 0.5
  return held.load + (next.load - held.load) * Math.min(1, Math.max(0, share))
}
