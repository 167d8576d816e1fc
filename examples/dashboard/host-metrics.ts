import { performance } from 'node:perf_hooks'
import type { SeriesName } from './contract.ts'
import type { Source } from './source.ts'

/** The figures of one series at one moment. */
export interface Reading {
  /** Wall clock, milliseconds. */
  t: number
  v: number[]
}

const historySeconds = 60

// A source may cost this share of its interval; a more expensive one is read less often.
const costShare = 0.02

interface Gauge {
  source: Source
  readAt: number
  costMs: number
}

interface Kept {
  gauge: Gauge
  latest: Reading | undefined
  history: Reading[]
}

/**
 * One sampler for all tabs. It reads a source only when a tab asks, and never
 * more often than the source can give something new, so that a hundred tabs at
 * a hundred samples a second cost the machine no more than one.
 */
export class HostMetrics {
  readonly #records = new Map<SeriesName, Kept>()
  #timer: NodeJS.Timeout | undefined

  constructor (sources: Iterable<Source>) {
    for (const source of sources) {
      const gauge = { source, readAt: -Infinity, costMs: 0 }
      for (const series of source.series) this.#records.set(series, { gauge, latest: undefined, history: [] })
    }
  }

  /** The series that this machine can give. */
  get series (): SeriesName[] {
    return [...this.#records.keys()]
  }

  /** Begins to keep one reading a second, so that a tab that opens finds its charts drawn. */
  start (): void {
    const keep = () => {
      for (const [series, record] of this.#records) {
        const reading = this.read(series)
        if (reading === undefined || reading === record.history.at(-1)) continue
        record.history.push(reading)
        if (record.history.length > historySeconds) record.history.shift()
      }
    }
    keep()
    this.#timer = setInterval(keep, 1000)
  }

  stop (): void {
    clearInterval(this.#timer)
  }

  /** The newest reading; the same object as before if there is nothing newer. */
  read (series: SeriesName): Reading | undefined {
    const record = this.#records.get(series)
    if (record === undefined) return undefined
    this.#refresh(record.gauge)
    return record.latest
  }

  /** One reading a second of the last minute, oldest first. */
  history (series: SeriesName): readonly Reading[] {
    return this.#records.get(series)?.history ?? []
  }

  #refresh (gauge: Gauge): void {
    const at = performance.now()
    if (at - gauge.readAt < Math.max(gauge.source.everyMs, gauge.costMs / costShare)) return
    gauge.readAt = at
    const figures = gauge.source.read(at)
    const t = Date.now()
    // On a busy machine a reading sometimes looks expensive. It counts only if it stays so.
    gauge.costMs = Math.min(performance.now() - at, gauge.costMs * 1.1 + 0.005)
    for (const series of gauge.source.series) {
      const record = this.#records.get(series)
      const v = figures[series]?.map((figure) => Math.round(figure * 100) / 100)
      if (record !== undefined && v?.every(Number.isFinite)) record.latest = { t, v }
    }
  }
}
