import type { Results } from '../decision/results.ts'

/** How a run differs from an earlier one. */
export interface Comparison {
  readonly isRegression: boolean
  readonly summary: string
  /** Events a second; null where one of the runs found no capacity. */
  readonly before: number | null
  readonly after: number | null
}

/**
 * Compares capacities. Only intervals that do not meet show a difference, and noise of the machine widens them.
 * Where one of the runs has no capacity, it says so.
 */
export function compare (earlier: Results, now: Results): Comparison {
  if (earlier.capacity === null || now.capacity === null) {
    return { isRegression: false, summary: `Cannot compare: the ${earlier.capacity === null ? 'earlier' : 'present'} run found no capacity.`, before: null, after: null }
  }
  const { eventsPerSecond: before } = earlier.capacity
  const { eventsPerSecond: after } = now.capacity
  const change = `${before.estimate.toFixed(1)} before, ${after.estimate.toFixed(1)} events a second now`
  const margin = Math.max(earlier.noise.margin, now.noise.margin)
  const isRegression = !after.atLeast && after.interval[1] * (1 + margin) < before.interval[0]
  const isBetter = !before.atLeast && after.interval[0] * (1 - margin) > before.interval[1]
  const summary = isRegression
    ? `Regression: ${change}.`
    : isBetter
      ? `Improvement: ${change}.`
      : after.atLeast && after.estimate < before.interval[0] ? `Cannot compare: this run went no further than ${after.estimate.toFixed(1)} events a second; the earlier one found ${before.estimate.toFixed(1)}.` : `No measurable difference: ${change}.`
  const differences = differencesOf(earlier, now)
  return { isRegression, summary: differences.length === 0 ? summary : `${summary} This says little, since these differ: ${differences.join(', ')}.`, before: before.estimate, after: after.estimate }
}

/** What must be alike for two capacities to be of the same thing. */
function differencesOf (earlier: Results, now: Results): string[] {
  const parts = ({ settings: { rate, transport, readers }, objectives, machine: { processor, cores } }: Results) => ({
    rate,
    transport,
    readers: JSON.stringify(readers),
    objectives: JSON.stringify(objectives.map(({ share, limitMs }) => [share, limitMs])),
    processor,
    cores
  })
  const [before, after] = [parts(earlier), parts(now)]
  return (Object.keys(before) as Array<keyof typeof before>).filter((name) => before[name] !== after[name])
}
