import { performance } from 'node:perf_hooks'
import type { HostMetrics, Reading } from './host-metrics.ts'
import { seriesNames, type SeriesName, type Settings } from './contract.ts'

const statsEveryMs = 500

/** What a tab's feed writes to. */
export interface Outlet {
  sample: (series: SeriesName, reading: Reading) => void
  stats: () => void
}

/** What one tab has chosen, and the timer that serves it. A session's state. */
export class Tab {
  readonly #metrics: HostMetrics
  #perSecond = 10
  #series: SeriesName[] = [...seriesNames]
  #paused = false
  #outlet: Outlet | undefined
  #timer: NodeJS.Timeout | undefined
  #statsAt = 0
  #leftAt = 0

  constructor (metrics: HostMetrics) {
    this.#metrics = metrics
  }

  get settings (): Settings {
    return { perSecond: this.#perSecond, series: this.#series, paused: this.#paused }
  }

  /** When the tab's stream ended, 0 if it never had one. */
  get leftAt (): number {
    return this.#leftAt
  }

  change (settings: Partial<Settings>): void {
    this.#perSecond = settings.perSecond ?? this.#perSecond
    this.#series = settings.series ?? this.#series
    this.#paused = settings.paused ?? this.#paused
    this.#schedule()
  }

  /** Feeds the outlet until {@link stop}. */
  start (outlet: Outlet): void {
    this.stop()
    this.#outlet = outlet
    this.#schedule()
  }

  stop (): void {
    clearInterval(this.#timer)
    if (this.#outlet !== undefined) this.#leftAt = Date.now()
    this.#outlet = undefined
  }

  #schedule (): void {
    clearInterval(this.#timer)
    const outlet = this.#outlet
    if (outlet === undefined) return
    const sent = new Map<SeriesName, Reading>()
    this.#timer = setInterval(() => {
      // Before the samples: what these are about to queue is no backlog.
      this.#tellStats(outlet)
      if (this.#paused) return
      for (const series of this.#series) {
        const reading = this.#metrics.read(series)
        // Slow figures change less often than the tab asks.
        if (reading === undefined || reading === sent.get(series)) continue
        sent.set(series, reading)
        outlet.sample(series, reading)
      }
    }, this.#paused ? statsEveryMs : 1000 / this.#perSecond)
  }

  #tellStats (outlet: Outlet): void {
    const now = performance.now()
    if (now - this.#statsAt < statsEveryMs * 0.9) return
    this.#statsAt = now
    outlet.stats()
  }
}
