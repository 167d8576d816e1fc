import { summarise, type Spread } from './statistics.ts'

/** A limit of a ratio within one run. */
export interface Goal {
  readonly name: string
  readonly direction: 'at most' | 'at least'
  readonly limit: number
  /** Baseline of the ratio. */
  readonly against: string
}

/**
 * `met` and `missed` mean that the quartiles of the ratios lie on one side of the limit;
 * `not clear` that they straddle it, so that the run cannot tell.
 */
export type Outcome = 'met' | 'missed' | 'not clear'

export interface Verdict {
  readonly goal: Goal
  readonly ratio: Spread
  readonly outcome: Outcome
}

export function judge (goal: Goal, ratios: readonly number[]): Verdict {
  const ratio = summarise(ratios)
  const satisfies = (value: number): boolean =>
    goal.direction === 'at most' ? value <= goal.limit : value >= goal.limit
  const lower = satisfies(ratio.lowerQuartile)
  const upper = satisfies(ratio.upperQuartile)
  const outcome = lower !== upper ? 'not clear' : lower ? 'met' : 'missed'
  return { goal, ratio, outcome }
}

export function describeVerdict ({ goal, ratio, outcome }: Verdict): string {
  const quartiles = `${ratio.lowerQuartile.toFixed(2)}–${ratio.upperQuartile.toFixed(2)}`
  return `${outcome.toUpperCase()}: ${goal.name}: ${ratio.median.toFixed(2)} × ${goal.against} ` +
    `(quartiles ${quartiles} of ${ratio.count} repeats, goal ${goal.direction} ${goal.limit} ×)`
}
