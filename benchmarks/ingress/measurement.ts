import { baseline } from './kind.ts'
import type { LoadReading } from './recorder.ts'
import type { ServerReading } from './server.ts'

export type Part = 'closedLoop' | 'fixedRate'

/** One part of one repeat of one kind. */
export interface Measurement extends LoadReading {
  /** Accepted in the measured windows, and the handler ran. */
  readonly events: number
  readonly eventsPerSecond: number
  /** Accepted, but the handler did not run: there must be none. */
  readonly unhandled: number
  readonly processorMicrosecondsPerEvent: number
  /** The part of one processor that the server was busy with. */
  readonly busy: number
}

export interface Round {
  readonly kind: string
  readonly repeat: number
  readonly requestsPerSecond: number
  readonly closedLoop: Measurement
  readonly fixedRate: Measurement
}

export function join (answered: LoadReading, served: ServerReading): Measurement {
  const acceptedInAll = sumOf(answered.statuses, (status) => status >= 200 && status <= 299)
  const unhandled = Math.max(0, acceptedInAll - served.handled)
  const events = answered.accepted - unhandled
  const processorMicrosecondsPerEvent = served.processorMicroseconds / served.handled
  return {
    ...answered,
    events,
    eventsPerSecond: events / answered.seconds,
    unhandled,
    processorMicrosecondsPerEvent,
    busy: processorMicrosecondsPerEvent * events / 1e6 / answered.seconds
  }
}

export function sumOf (statuses: Record<string, number>, matches: (status: number) => boolean): number {
  return Object.entries(statuses).reduce((sum, [status, count]) => matches(Number(status)) ? sum + count : sum, 0)
}

export type Figure = (measurement: Measurement) => number

export const eventsPerSecond: Figure = (measurement) => measurement.eventsPerSecond
export const processorTime: Figure = (measurement) => measurement.processorMicrosecondsPerEvent
export const p99: Figure = (measurement) => measurement.latencyMs.p99

export function figures (rounds: readonly Round[], name: string, part: Part, figure: Figure): number[] {
  return rounds.filter(({ kind }) => kind === name).map((round) => figure(round[part]))
}

/** Per repeat, against the bare route of the same repeat, so that a drift of the machine cancels out. */
export function ratios (rounds: readonly Round[], name: string, part: Part, figure: Figure): number[] {
  const bare = figures(rounds, baseline, part, figure)
  return figures(rounds, name, part, figure).map((value, repeat) => value / (bare[repeat] ?? Number.NaN))
}
