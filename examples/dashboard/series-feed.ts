import type { SeriesName } from './contract.ts'
import type { HostMetrics, Reading } from './host-metrics.ts'

const keptEveryMs = 900

/** Publishes a series at a pace, until the signal aborts: for all tabs that have chosen both. */
export function feedSeries (metrics: HostMetrics, name: SeriesName, perSecond: number, publish: (update: 'sample' | 'kept', reading: Reading) => unknown, signal: AbortSignal): void {
  let last: Reading | undefined
  let keptAt = 0
  for (const reading of metrics.history(name)) publish('kept', reading)
  const timer = setInterval(() => {
    const reading = metrics.read(name)
    // Slow figures change less often than a tab asks.
    if (reading === undefined || reading === last) return
    last = reading
    if (reading.t - keptAt >= keptEveryMs) {
      keptAt = reading.t
      publish('kept', reading)
    }
    publish('sample', reading)
  }, 1000 / perSecond)
  signal.addEventListener('abort', () => clearInterval(timer))
}
