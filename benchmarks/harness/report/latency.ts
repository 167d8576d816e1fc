import type { Histogram } from 'node:perf_hooks'

/** Percentiles in milliseconds; null with too few values. */
export interface Latency {
  readonly p50: number | null
  readonly p99: number | null
  readonly p999: number | null
  readonly maximum: number | null
  /** Count of the values that came in time. */
  readonly count: number
  /** Count of the expected values that did not come in time. */
  readonly missing: number
}

export interface LatencyOptions {
  /** Count of all expected values. Missing values count as later than all others, so a percentile among them is unknown. */
  readonly expected?: number
  /** Units of the histogram in a millisecond. Default 1,000: microseconds. */
  readonly unitsPerMillisecond?: number
}

/** Percentiles of all expected values. */
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
