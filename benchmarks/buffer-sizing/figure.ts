import { quantile } from '../harness/report/statistics.ts'
import type { Measurement } from './measurement.ts'

/** One figure of a measurement; nothing where it was not measured. */
export type Figure = (measurement: Measurement) => number | null | undefined

/** The median over repeats; null when none has it. */
export function figureOf (measurements: readonly Measurement[], figure: Figure): number | null {
  const values = valuesOf(measurements, figure)
  // Only if most repeats have it: a median of the few fast ones would be too short.
  return values.length * 2 <= measurements.length ? null : quantile(values, 0.5)
}

export function valuesOf (measurements: readonly Measurement[], figure: Figure): number[] {
  return measurements.flatMap((one) => figure(one) ?? [])
}
