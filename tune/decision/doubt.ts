import type { Objective } from '../input/options.ts'
import { hiddenShare, isDisturbed } from '../measure/disturbance.ts'
import { holds, type Step } from '../measure/step.ts'
import { median } from '../statistics/quantile.ts'
import type { Estimate } from './capacity.ts'

/** How far the capacity is in doubt, because other processes disturbed every step in which an objective did not hold. */
export interface Doubt {
  /** The capacity, with an interval up to what the server may do without the others. */
  readonly capacity: Estimate
  /** Whether the interval is so wide that the capacity cannot be told. */
  readonly isTooWide: boolean
}

/** An upper end beyond this many times the estimate tells nothing. */
const widest = 1.3

/**
 * Widens the interval of a capacity whose upper end rests on disturbed steps alone. Null if it rests on others.
 *
 * @param steps all that say something, those of the ramp too: nothing makes a server look better than it is
 * @param groups the steps from which the capacity was taken
 */
export function doubtOf (capacity: Estimate, groups: ReadonlyArray<readonly Step[]>, steps: readonly Step[], objectives: readonly Objective[]): Doubt | null {
  if (capacity.atLeast) return null
  const failed = groups.filter(([first]) => first!.load >= capacity.estimate * 0.99).flat().filter((step) => !holds(step, objectives))
  if (failed.length === 0 || failed.some((step) => !isDisturbed(step))) return null
  const hidden = median(failed.map(hiddenShare))
  const held = Math.max(capacity.estimate, ...steps.flatMap((step) => holds(step, objectives) ? step.load : []))
  const high = Math.max(capacity.interval[1], held, ...failed.map(({ achieved }) => achieved)) * (1 + hidden)
  return {
    capacity: { estimate: held, interval: [Math.max(capacity.interval[0], Math.min(held, capacity.estimate)), high], atLeast: false },
    isTooWide: high > widest * held
  }
}
