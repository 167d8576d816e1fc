import type { Results } from '../decision/results.ts'

/** How a run differs from an earlier one. */
export interface Comparison {
  readonly isRegression: boolean
  readonly summary: string
  readonly before: number
  readonly after: number
}

/** Compares capacities: only intervals that do not meet show a difference. Null where one of the runs has no capacity. */
export function compare (earlier: Results, now: Results): Comparison | null {
  if (earlier.capacity === null || now.capacity === null) return null
  const { eventsPerSecond: before } = earlier.capacity
  const { eventsPerSecond: after } = now.capacity
  const change = `${before.estimate.toFixed(1)} before, ${after.estimate.toFixed(1)} events a second now`
  const isRegression = after.interval[1] < before.interval[0] && !after.atLeast
  const isBetter = after.interval[0] > before.interval[1]
  const summary = isRegression
    ? `Regression: ${change}.`
    : isBetter ? `Improvement: ${change}.` : `No measurable difference: ${change}.`
  const differs = earlier.settings.rate !== now.settings.rate || earlier.machine.processor !== now.machine.processor
  return { isRegression, summary: differs ? `${summary} The machines or the settings differ, so this says little.` : summary, before: before.estimate, after: after.estimate }
}
