import { loadavg, platform } from 'node:os'
import { monitorEventLoopDelay, performance, type IntervalHistogram } from 'node:perf_hooks'
import type { Source } from './source.ts'

const resolutionMs = 10
const windowMs = 1000

/** Figures of this very process, and the load average. */
export function processSources (): Source[] {
  const sources = [loop(), heap()]
  // Windows has no load average; Node returns zeros there.
  if (platform() !== 'win32') sources.push({ series: ['load'], everyMs: 900, read: () => ({ load: loadavg() }) })
  return sources
}

function loop (): Source {
  // A histogram cannot forget gradually. Of two that are reset in turn, the
  // older one always covers between one and two windows.
  let older = monitorEventLoopDelay({ resolution: resolutionMs })
  let younger = monitorEventLoopDelay({ resolution: resolutionMs })
  let turnedAt = 0
  let utilisationFrom = performance.eventLoopUtilization()
  let utilisationNext = utilisationFrom

  return {
    series: ['loop'],
    everyMs: 8,
    read (at) {
      if (at - turnedAt >= windowMs) {
        turnedAt = at
        // Resets before the first reading, since the time of the start does not count.
        older.enable()
        younger.enable()
        older.reset()
        const turned = older
        older = younger
        younger = turned
        utilisationFrom = utilisationNext
        utilisationNext = performance.eventLoopUtilization()
      }
      if (older.count === 0) return {}
      const { utilization } = performance.eventLoopUtilization(utilisationFrom)
      return { loop: [lateMs(older, 50), lateMs(older, 99), 100 * utilization] }
    }
  }
}

function heap (): Source {
  return {
    series: ['heap'],
    everyMs: 100,
    read () {
      const { heapUsed, rss } = process.memoryUsage()
      return { heap: [heapUsed, rss] }
    }
  }
}

// The histogram holds the time between two ticks of its timer, not how late they were.
function lateMs (histogram: IntervalHistogram, percentile: number): number {
  return Math.max(0, histogram.percentile(percentile) / 1e6 - resolutionMs)
}
