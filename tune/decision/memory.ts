import type { StepMemory } from '../measure/step.ts'
import { bootstrap } from '../statistics/bootstrap.ts'
import { leastSquares } from '../statistics/least-squares.ts'

/** What the memory of the server consists of, fitted to its size behind each step. */
export interface MemoryFit {
  /** Bytes without a client. */
  readonly baseBytes: number
  readonly bytesPerClient: number
  /** Bytes that stay of each event, with the interval. */
  readonly bytesPerEvent: number
  readonly perEventInterval: readonly [low: number, high: number]
  /** Whether memory stays of the events, more than chance and warm code explain. */
  readonly leaks: boolean
  readonly peakBytes: number
}

const leastSteps = 6
/** Growth over a run that compiled code and caches may cause. */
const warmingBytes = 1_500_000
const warmingShare = 0.03
/** Growth of each event in the later part of a run, as a share of that in the whole run. */
const laterShare = 0.4
const leastLate = 5

/** Fits memory to sessions and events. Null with fewer than six steps. */
export function fitMemory (readings: readonly StepMemory[]): MemoryFit | null {
  if (readings.length < leastSteps) return null
  const fit = coefficients(readings)
  if (fit === null) return null
  const interval = bootstrap([readings], ([drawn]) => coefficients(drawn!)?.perEvent ?? null) ?? { low: -Infinity, high: Infinity }
  const events = readings.map((one) => one.events)
  const growth = fit.perEvent * (Math.max(...events) - Math.min(...events))
  return {
    baseBytes: Math.max(0, fit.base),
    bytesPerClient: Math.max(0, fit.perSession),
    bytesPerEvent: Math.max(0, fit.perEvent),
    perEventInterval: [interval.low, interval.high],
    leaks: interval.low > 0 && growth > Math.max(warmingBytes, warmingShare * fit.base) && goesOn(readings, fit.perEvent),
    peakBytes: Math.max(...readings.map(({ residentBytes }) => residentBytes))
  }
}

/** Whether memory grows as much in the later part of a run: code that warms up takes its memory at first. */
function goesOn (readings: readonly StepMemory[], perEvent: number): boolean {
  const late = readings.slice(Math.floor(readings.length / 3))
  const fit = late.length < leastLate ? null : coefficients(late)
  return fit === null || fit.perEvent > laterShare * perEvent
}

function coefficients (readings: readonly StepMemory[]): { base: number, perSession: number, perEvent: number } | null {
  const first = Math.min(...readings.map(({ events }) => events))
  const targets = readings.map(({ heldBytes }) => heldBytes)
  const both = leastSquares(readings.map(({ sessions, events }) => [1, sessions, events - first]), targets)
  if (both !== null && both[1]! >= 0) return { base: both[0]!, perSession: both[1]!, perEvent: both[2]! }
  // The number of sessions hardly varied.
  const events = leastSquares(readings.map((reading) => [1, reading.events - first]), targets)
  return events === null ? null : { base: events[0]!, perSession: 0, perEvent: events[1]! }
}
