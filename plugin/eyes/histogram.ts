import { keyOf, type Sample } from './samples.ts'

interface Series {
  readonly labels: Sample['labels']
  /** By bucket, not cumulative; the last is for all above. */
  readonly counts: number[]
  sum: number
  count: number
}

/** Counts values in buckets, apart for each set of labels. The caller bounds the labels. */
export class Histogram {
  readonly #buckets: readonly number[]
  readonly #series = new Map<string, Series>()

  /** @param buckets upper bounds, ascending */
  constructor (buckets: readonly number[]) {
    this.#buckets = buckets
  }

  record (value: number, labels: Sample['labels']): void {
    const key = keyOf(labels)
    let series = this.#series.get(key)
    if (series === undefined) this.#series.set(key, series = { labels, counts: new Array<number>(this.#buckets.length + 1).fill(0), sum: 0, count: 0 })
    let index = this.#buckets.findIndex((bound) => value <= bound)
    if (index === -1) index = this.#buckets.length
    series.counts[index]!++
    series.sum += value
    series.count++
  }

  /** The samples as Prometheus has them: cumulative buckets, sum and count. */
  * samples (name: string): Generator<{ readonly metricName: string, readonly labels: Readonly<Record<string, string | number>>, readonly value: number }> {
    for (const { labels, counts, sum, count } of this.#series.values()) {
      let below = 0
      for (const [index, bound] of [...this.#buckets, '+Inf'].entries()) {
        below += counts[index]!
        yield { metricName: `${name}_bucket`, labels: { ...labels, le: bound }, value: below }
      }
      yield { metricName: `${name}_sum`, labels, value: sum }
      yield { metricName: `${name}_count`, labels, value: count }
    }
  }

  reset (): void {
    this.#series.clear()
  }
}
