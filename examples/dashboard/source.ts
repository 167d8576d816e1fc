import type { SeriesName } from './contract.ts'

export type Figures = { [series in SeriesName]?: number[] | undefined }

/** One place where figures come from, read in one go. */
export interface Source {
  readonly series: readonly SeriesName[]
  /** It makes no sense to read it more often than this. */
  readonly everyMs: number
  /**
   * The figures at this moment; a series that has none yet is left out.
   *
   * @param at milliseconds of the monotonic clock
   */
  read (at: number): Figures
}
