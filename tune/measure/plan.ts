/** Times of the steps of a run. */
export interface Timing {
  readonly warmMs: number
  readonly windowMs: number
  readonly repeats: number
}

const leastWarmMs = 500
const leastWindowMs = 800
/** Share of the whole run that is left for opening streams and for the report. */
const spare = 0.1

/** Loads around a capacity, as shares of it: enough below and above for a knee, and six for a curve. */
const aroundKnee = [0.5, 0.7, 0.85, 0.95, 1.05, 1.2]
const belowMost = [0.25, 0.4, 0.55, 0.7, 0.85, 1]

/** The loads to measure: around the capacity that the ramp found, or up to the largest allowed. */
export function loadsFor (capacity: number | null, largest: number): number[] {
  const loads = capacity === null ? belowMost.map((share) => share * largest) : aroundKnee.map((share) => share * capacity)
  return [...new Set(loads.map((load) => Number(Math.min(load, largest).toPrecision(6))))]
}

/** The order of the loads in each repeat: rotated, and every second one reversed, so that none always follows the same. */
export function orderOf (count: number, repeat: number): number[] {
  const order = Array.from({ length: count }, (_, index) => (index + repeat) % count)
  return repeat % 2 === 0 ? order : order.reverse()
}

export interface TimingParts {
  readonly loads: number
  /** Steps beside those of the loads. */
  readonly extra: number
  readonly milliseconds: number
  readonly quick: boolean
  /** Repeats that are still to come; null for as many as fit. */
  readonly repeats: number | null
  /** What a step costs beside its warm-up and its window. */
  readonly overheadMs: number
}

/** The longest windows, and the most repeats, that fit into the time. */
export function timingFor ({ loads, extra, milliseconds, quick, repeats: given, overheadMs }: TimingParts): Timing {
  const repeats = given ?? (quick ? 3 : 5)
  const warmMs = quick ? 600 : 1_500
  const useful = milliseconds * (1 - spare)
  const room = useful / (loads * repeats + extra) - warmMs - overheadMs
  const windowMs = Math.min(quick ? 3_000 : 15_000, room)
  if (windowMs >= leastWindowMs) return { warmMs, windowMs: Math.floor(windowMs), repeats }
  // Too little time for all: fewer repeats tell less, and the intervals say so.
  const fewer = Math.max(1, Math.floor((useful / (leastWarmMs + overheadMs + leastWindowMs) - extra) / loads))
  return { warmMs: leastWarmMs, windowMs: leastWindowMs, repeats: Math.min(repeats, fewer) }
}
