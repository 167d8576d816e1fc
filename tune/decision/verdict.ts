import type { Estimate } from './capacity.ts'

/** Exit codes of the command. */
export const exitCodes = { meets: 0, fails: 1, unknown: 2 } as const
export type Verdict = keyof typeof exitCodes

/** A load that is this close to the target is the target. */
const nearly = 0.99

export interface VerdictParts {
  readonly capacity: Estimate | null
  /** Events a second that must be borne; null if any load will do. */
  readonly target: number | null
  /** Share by which noise widens the interval on either side. */
  readonly margin: number
  readonly isGeneratorLimited: boolean
  /** Whether the server turned clients away before there were as many as asked for. */
  readonly wereClientsRefused: boolean
  /** Whether other processes made the capacity too unsure to be told. */
  readonly isInDoubt: boolean
  /** Whether the run came to its end. */
  readonly isComplete: boolean
}

export function judge ({ capacity, target, margin, isGeneratorLimited, wereClientsRefused, isInDoubt, isComplete }: VerdictParts): Verdict {
  if (capacity === null || !isComplete) return 'unknown'
  const { estimate, interval: [low, high], atLeast } = capacity
  if (target === null) return isInDoubt ? 'unknown' : estimate > 0 ? 'meets' : margin > 0 ? 'unknown' : 'fails'
  if (wereClientsRefused) return 'fails'
  if (atLeast) return estimate >= nearly * target ? 'meets' : 'unknown'
  if (low * (1 - margin) >= nearly * target) return 'meets'
  if (high * (1 + margin) < nearly * target) return isGeneratorLimited ? 'unknown' : 'fails'
  return 'unknown'
}
