import type { Trial } from './search.ts'

/** Where the limit lies among loads that were measured in turns. */
export type Place =
  | { readonly is: 'within' }
  /** Even the largest holds. */
  | { readonly is: 'above', readonly held: number }
  /** Not even the least holds. */
  | { readonly is: 'below', readonly failed: Trial }
  /** It lies among the lower ones, far from the middle. */
  | { readonly is: 'low', readonly about: number }

/** So many of the least loads are far below the limit, if they were chosen well. */
const lowLoads = 2

/** Says where the limit lies, from the trials of each load, the least load first. */
export function placeOf (loads: ReadonlyArray<readonly Trial[]>): Place {
  const holds = loads.map(isHeld)
  const last = holds.lastIndexOf(true)
  const [first] = loads
  if (first === undefined) return { is: 'within' }
  if (last === loads.length - 1) return { is: 'above', held: loads[last]![0]!.load }
  if (last === -1) {
    const failed = first.filter(({ void: reason, isDisturbed }) => reason === null && !isDisturbed)
    return failed.length === 0 ? { is: 'within' } : { is: 'below', failed: failed.reduce((best, one) => one.achieved > best.achieved ? one : best) }
  }
  // Loads that only failed because of others say nothing yet.
  if (last < lowLoads && last < loads.length - lowLoads && loads.slice(last + 1).every(isFailed)) {
    return { is: 'low', about: Math.sqrt(loads[last]![0]!.load * loads[last + 1]![0]!.load) }
  }
  return { is: 'within' }
}

function isHeld (trials: readonly Trial[]): boolean {
  const held = trials.filter(({ holds, void: reason }) => holds && reason === null).length
  return held > 0 && held >= failuresIn(trials)
}

function isFailed (trials: readonly Trial[]): boolean {
  return !isHeld(trials) && failuresIn(trials) > 0
}

/** Those that other processes did not disturb. */
function failuresIn (trials: readonly Trial[]): number {
  return trials.filter(({ holds, isDisturbed, void: reason }) => !holds && !isDisturbed && reason === null).length
}
