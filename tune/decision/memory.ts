import type { StepMemory } from '../measure/step.ts'
import { bootstrap } from '../statistics/bootstrap.ts'
import { leastSquares } from '../statistics/least-squares.ts'

/** What memory may stay of. */
export type Leaking = 'event' | 'session'

/** What the memory of the server consists of, fitted to its size behind each step. */
export interface MemoryFit {
  /** Bytes without a client. */
  readonly baseBytes: number
  readonly bytesPerClient: number
  /** Bytes that stay of each event, with the interval. */
  readonly bytesPerEvent: number
  readonly perEventInterval: readonly [low: number, high: number]
  /** Bytes that stay of each session that was ever opened, with the interval. */
  readonly bytesPerOpened: number
  readonly perOpenedInterval: readonly [low: number, high: number]
  /** Of what memory stays, more than chance and warm code explain; null if it does not stay. */
  readonly leaksOf: Leaking | null
  readonly peakBytes: number
}

const leastSteps = 6
/** Growth over a run that compiled code and caches may cause. */
const warmingBytes = 1_500_000
const warmingShare = 0.03
/** Growth of each event in the later part of a run, as a share of that in the whole run. */
const laterShare = 0.4
const leastLate = 5
/** Sessions explain growth, rather than events, if they leave less than this share of what events leave unexplained. */
const better = 0.5

interface Fit {
  readonly base: number
  readonly perClient: number
  readonly perUnit: number
  /** Sum of the squares of what the fit does not explain. */
  readonly rest: number
}

type CountOf = (reading: StepMemory) => number

/** Fits memory to clients and events, and to clients and all sessions so far. Null with fewer than six steps. */
export function fitMemory (readings: readonly StepMemory[]): MemoryFit | null {
  if (readings.length < leastSteps) return null
  const ofEvents = growthBy(readings, ({ events }) => events)
  const ofSessions = growthBy(readings, ({ opened }) => opened)
  if (ofEvents === null) return null
  const areSessions = ofSessions !== null && ofSessions.leaks && ofSessions.fit.rest < better * ofEvents.fit.rest
  const { fit } = areSessions ? ofSessions : ofEvents
  const none = [0, 0] as const
  return {
    baseBytes: Math.max(0, fit.base),
    bytesPerClient: Math.max(0, fit.perClient),
    bytesPerEvent: areSessions ? 0 : Math.max(0, fit.perUnit),
    perEventInterval: areSessions ? none : ofEvents.interval,
    bytesPerOpened: areSessions ? fit.perUnit : 0,
    perOpenedInterval: areSessions ? ofSessions.interval : none,
    leaksOf: areSessions ? 'session' : ofEvents.leaks ? 'event' : null,
    peakBytes: Math.max(...readings.map(({ residentBytes }) => residentBytes))
  }
}

/** Growth of the memory by a count that only ever grows. Null where the readings do not determine it. */
function growthBy (readings: readonly StepMemory[], count: CountOf): { fit: Fit, interval: readonly [number, number], leaks: boolean } | null {
  const fit = fitTo(readings, count)
  if (fit === null) return null
  const interval = bootstrap([readings], ([drawn]) => fitTo(drawn!, count)?.perUnit ?? null) ?? { low: -Infinity, high: Infinity }
  const counts = readings.map(count)
  const growth = fit.perUnit * (Math.max(...counts) - Math.min(...counts))
  return {
    fit,
    interval: [interval.low, interval.high],
    leaks: interval.low > 0 && growth > Math.max(warmingBytes, warmingShare * fit.base) && goesOn(readings, count, fit.perUnit)
  }
}

/** Whether memory grows as much in the later part of a run: code that warms up takes its memory at first. */
function goesOn (readings: readonly StepMemory[], count: CountOf, perUnit: number): boolean {
  const late = readings.slice(Math.floor(readings.length / 3))
  const fit = late.length < leastLate ? null : fitTo(late, count)
  return fit === null || fit.perUnit > laterShare * perUnit
}

function fitTo (readings: readonly StepMemory[], count: CountOf): Fit | null {
  const first = Math.min(...readings.map(count))
  const targets = readings.map(({ heldBytes }) => heldBytes)
  const restOf = (base: number, perClient: number, perUnit: number): Fit => ({
    base,
    perClient,
    perUnit,
    rest: readings.reduce((sum, reading, index) => sum + (targets[index]! - base - perClient * reading.sessions - perUnit * (count(reading) - first)) ** 2, 0)
  })
  const both = leastSquares(readings.map((reading) => [1, reading.sessions, count(reading) - first]), targets)
  if (both !== null && both[1]! >= 0) return restOf(both[0]!, both[1]!, both[2]!)
  // The number of sessions hardly varied.
  const alone = leastSquares(readings.map((reading) => [1, count(reading) - first]), targets)
  return alone === null ? null : restOf(alone[0]!, 0, alone[1]!)
}
