import { performance } from 'node:perf_hooks'
import type { HostMetrics, Reading } from './host-metrics.ts'
import { seriesNames, type SeriesName, type Settings } from './contract.ts'

const statsEveryMs = 500
const keptEveryMs = 1000

// Long enough to see the page's reaction.
const cutForMs = 3000

/** Target of a tab's feed. */
export interface Outlet {
  /** A figure of which only the newest counts. */
  sample: (series: SeriesName, reading: Reading) => void
  /** A figure for the time without a stream. Each of them arrives. */
  keep: (series: SeriesName, reading: Reading) => void
  stats: () => void
  /** Destroys the connection. */
  cut: () => void
}

/** A session's state: the choices of one tab, and its timer. */
export class Tab {
  /** Whether the page has reported that it stopped reading. */
  isSlow = false

  readonly #metrics: HostMetrics
  #perSecond = 10
  #series: SeriesName[] = [...seriesNames]
  #paused = false
  #outlet: Outlet | undefined
  #isAway = false
  #timer: NodeJS.Timeout | undefined
  #statsAt = 0
  #leftAt = 0
  #cutUntil = 0

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

  /** Milliseconds for which a cut connection still stays away. */
  get cutForMs (): number {
    return Math.max(0, this.#cutUntil - Date.now())
  }

  change (settings: Partial<Settings>): void {
    this.#perSecond = settings.perSecond ?? this.#perSecond
    this.#series = settings.series ?? this.#series
    this.#paused = settings.paused ?? this.#paused
    this.#schedule()
  }

  /** Feeds the outlet until {@link stop}. */
  start (outlet: Outlet): void {
    this.#outlet = outlet
    this.#isAway = false
    this.#schedule()
  }

  /** The stream has ended and may come back. Until then, one figure a second is kept. */
  leave (): void {
    this.#isAway = true
    this.#leftAt = Date.now()
    this.#schedule()
  }

  stop (): void {
    clearInterval(this.#timer)
    this.#outlet = undefined
  }

  cut (): void {
    this.#cutUntil = Date.now() + cutForMs
    this.#outlet?.cut()
  }

  #schedule (): void {
    clearInterval(this.#timer)
    const outlet = this.#outlet
    if (outlet === undefined) return
    const isAway = this.#isAway
    const sent = new Map<SeriesName, Reading>()
    this.#timer = setInterval(() => {
      // Before the samples, since the updates that they queue are no backlog.
      if (!isAway) this.#tellStats(outlet)
      if (this.#paused) return
      for (const series of this.#series) {
        const reading = this.#metrics.read(series)
        // Slow figures change less often than the tab asks.
        if (reading === undefined || reading === sent.get(series)) continue
        sent.set(series, reading)
        if (isAway) outlet.keep(series, reading)
        else outlet.sample(series, reading)
      }
    }, isAway ? keptEveryMs : this.#paused ? statsEveryMs : 1000 / this.#perSecond)
  }

  #tellStats (outlet: Outlet): void {
    const now = performance.now()
    if (now - this.#statsAt < statsEveryMs * 0.9) return
    this.#statsAt = now
    outlet.stats()
  }
}
