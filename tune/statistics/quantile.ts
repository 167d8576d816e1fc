/** The value below which `fraction` of the values lie, interpolated linearly between neighbours; NaN without values. */
export function quantile (values: readonly number[], fraction: number): number {
  const sorted = values.toSorted((first, second) => first - second)
  const position = (sorted.length - 1) * fraction
  const below = sorted[Math.floor(position)] ?? Number.NaN
  const above = sorted[Math.ceil(position)] ?? Number.NaN
  return below === above ? below : below + (above - below) * (position - Math.floor(position))
}

export function median (values: readonly number[]): number {
  return quantile(values, 0.5)
}
