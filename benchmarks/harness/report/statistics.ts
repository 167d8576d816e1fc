import { quantile } from '../../../tune/statistics/quantile.ts'

export { quantile }

/** Median and spread of a set of measured values. */
export interface Spread {
  readonly count: number
  readonly minimum: number
  readonly lowerQuartile: number
  readonly median: number
  readonly upperQuartile: number
  readonly maximum: number
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
