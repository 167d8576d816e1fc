import type { Histogram } from 'node:perf_hooks'

/** In milliseconds; null where too few have been seen to tell. */
export interface Latency {
  readonly p50: number | null
  readonly p99: number | null
  readonly p999: number | null
  readonly maximum: number | null
  /** How many were seen. */
  readonly count: number
  /** How many were expected and not seen in time. */
  readonly missing: number
}

export interface LatencyOptions {
  /** Those not seen in time count as later than all others, so a percentile among them is not known. */
  readonly expected?: number
  /** Of the histogram: microseconds by default. */
  readonly unitsPerMillisecond?: number
}

/** Percentiles of all that were expected. */
export function latencyOf (histogram: Histogram, { expected = 0, unitsPerMillisecond = 1_000 }: LatencyOptions = {}): Latency {
  const { count } = histogram
  const total = Math.max(count, expected)
  const percentile = (share: number): number | null => {
    const rank = share * total
    return count === 0 || rank > count ? null : histogram.percentile(Math.min(100, rank / count * 100)) / unitsPerMillisecond
  }
  return {
    p50: percentile(0.5),
    p99: percentile(0.99),
    p999: percentile(0.999),
    maximum: count === 0 || count < total ? null : histogram.max / unitsPerMillisecond,
    count,
    missing: total - count
  }
}
