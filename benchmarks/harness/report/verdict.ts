import { summarise, type Spread } from './statistics.ts'

/** A limit of a ratio within one run, or of a figure itself. */
export interface Goal {
  readonly name: string
  /** `within`: the ratio may differ from 1 by the limit. */
  readonly direction: 'at most' | 'at least' | 'within'
  readonly limit: number
  /** Unit of the figure, or the baseline of the ratio as `× bare`. */
  readonly unit: string
}

/**
 * `met`: both quartiles satisfy the goal; `missed`: neither does. `not clear`: one does, so the run cannot tell.
 */
export type Outcome = 'met' | 'missed' | 'not clear'

export interface Verdict {
  readonly goal: Goal
  readonly spread: Spread
  readonly outcome: Outcome
}

export function judge (goal: Goal, values: readonly number[]): Verdict {
  const spread = summarise(values)
  const lower = satisfies(goal, spread.lowerQuartile)
  const upper = satisfies(goal, spread.upperQuartile)
  const outcome = lower !== upper ? 'not clear' : lower ? 'met' : 'missed'
  return { goal, spread, outcome }
}

function satisfies ({ direction, limit }: Goal, value: number): boolean {
  if (direction === 'within') return Math.abs(value - 1) <= limit
  return direction === 'at most' ? value <= limit : value >= limit
}

export function describeVerdict ({ goal, spread, outcome }: Verdict): string {
  const { name, direction, limit, unit } = goal
  const quartiles = `${spread.lowerQuartile.toFixed(2)}–${spread.upperQuartile.toFixed(2)}`
  return `${outcome.toUpperCase()}: ${name}: ${spread.median.toFixed(2)} ${unit} ` +
    `(quartiles ${quartiles} of ${spread.count}, goal ${direction} ${limit}${direction === 'within' ? ' of 1' : ''})`
}
