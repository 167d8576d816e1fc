/** Median and spread of a set of measured values. */
export interface Spread {
  readonly count: number
  readonly minimum: number
  readonly lowerQuartile: number
  readonly median: number
  readonly upperQuartile: number
  readonly maximum: number
}

/** The value below which `fraction` of the values lie, interpolated linearly between neighbours. */
export function quantile (values: readonly number[], fraction: number): number {
  const sorted = values.toSorted((first, second) => first - second)
  if (sorted.length === 0) return Number.NaN
  const position = (sorted.length - 1) * fraction
  const below = sorted[Math.floor(position)] ?? Number.NaN
  const above = sorted[Math.ceil(position)] ?? Number.NaN
  return below + (above - below) * (position - Math.floor(position))
}

export function summarise (values: readonly number[]): Spread {
  return {
    count: values.length,
    minimum: quantile(values, 0),
    lowerQuartile: quantile(values, 0.25),
    median: quantile(values, 0.5),
    upperQuartile: quantile(values, 0.75),
    maximum: quantile(values, 1)
  }
}
