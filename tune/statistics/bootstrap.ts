import { quantile } from './quantile.ts'
import { randomFrom } from './random.ts'

/** The interval in which the true value lies, with 95 % confidence. */
export interface Interval {
  readonly low: number
  readonly high: number
}

export interface BootstrapOptions {
  /** Default 400. */
  readonly resamples?: number
  /** Default 0.95. */
  readonly confidence?: number
  /** Default 1: the same values give the same interval. */
  readonly seed?: number
}

/**
 * The percentile interval of a statistic over groups: every resample draws as many values from each group as it has, with
 * replacement. Resamples for which the statistic is null or not a number are left out. Null with fewer than half of them left.
 */
export function bootstrap<Value> (groups: ReadonlyArray<readonly Value[]>, statistic: (groups: Value[][]) => number | null, { resamples = 400, confidence = 0.95, seed = 1 }: BootstrapOptions = {}): Interval | null {
  const random = randomFrom(seed)
  const drawn: number[] = []
  for (let count = 0; count < resamples; count += 1) {
    const value = statistic(groups.map((group) => group.map(() => group[Math.floor(random() * group.length)]!)))
    if (value !== null && !Number.isNaN(value)) drawn.push(value)
  }
  if (drawn.length < resamples / 2) return null
  const tail = (1 - confidence) / 2
  return { low: quantile(drawn, tail), high: quantile(drawn, 1 - tail) }
}
