import { createHistogram, record, type Histogram } from './histogram.ts'

/** Counts of durations as the server gives them: bucket `b` begins at `1.02 ** b` microseconds. */
export type Buckets = ReadonlyArray<readonly [bucket: number, count: number]>

const growth = 1.02

/** The durations between two readings. */
export function between (before: Buckets, after: Buckets): Histogram {
  const earlier = new Map(before)
  const histogram = createHistogram()
  for (const [bucket, count] of after) {
    const added = count - (earlier.get(bucket) ?? 0)
    if (added > 0) record(histogram, growth ** (bucket + 0.5) / 1_000, added)
  }
  return histogram
}
