import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js'

export type { Histogram } from 'hdr-histogram-js'

/** Ten minutes, in microseconds. Longer times count as this. */
const longest = 600_000_000

/** A histogram of microseconds with three significant digits. */
export function createHistogram (): Histogram {
  return build({ lowestDiscernibleValue: 1, highestTrackableValue: longest, numberOfSignificantValueDigits: 3, bitBucketSize: 32, useWebAssembly: false })
}

export function record (histogram: Histogram, milliseconds: number, count = 1): void {
  histogram.recordValueWithCount(Math.max(1, Math.min(longest, Math.round(milliseconds * 1_000))), count)
}

export function encode (histogram: Histogram): string {
  return encodeIntoCompressedBase64(histogram)
}

export function decode (text: string): Histogram {
  return decodeFromCompressedBase64(text, 32, false)
}

/** One histogram of all values of several. */
export function merge (histograms: readonly Histogram[]): Histogram {
  const all = createHistogram()
  for (const one of histograms) all.add(one)
  return all
}

/** Milliseconds at a share from 0 to 1; null without values. */
export function percentile (histogram: Histogram, share: number): number | null {
  return histogram.totalCount === 0 ? null : histogram.getValueAtPercentile(share * 100) / 1_000
}

/** The lines of a `.hgrm` file, in milliseconds. */
export function toDistribution (histogram: Histogram): string {
  return histogram.outputPercentileDistribution(5, 1_000)
}
