import { refusedOf } from '../harness/load/recorder.ts'
import type { Comparison, Figure } from '../harness/report/comparison.ts'
import { formatTable, type Column } from '../harness/report/table.ts'
import type { Measurement, Round } from './round.ts'

export type Part = 'closedLoop' | 'fixedRate'

/** Below this share the load generator sets the pace, and the closed loop shows little about the server. */
const busyEnough = 0.85
/** Below this share of the fixed rate, the latencies belong to another rate. */
const rateEnough = 0.97

/** A figure of one part of a round. */
export function figureOf (part: Part, figure: Figure<Measurement>): Figure<Round> {
  return (round) => figure(round[part])
}

export const eventsPerSecond: Figure<Measurement> = (measurement) => measurement.eventsPerSecond
export const processorTime: Figure<Measurement> = (measurement) => measurement.processorMicrosecondsPerEvent
export const p99: Figure<Measurement> = ({ latency }) => latency.p99

export function closedLoopTable (comparison: Comparison<Round>, names: readonly string[]): string {
  const of = (figure: Figure<Measurement>): Figure<Round> => figureOf('closedLoop', figure)
  return formatTable(names, [
    { title: 'POST event', value: (name) => name },
    ...comparison.compared('events/s', of(eventsPerSecond), 0),
    ...comparison.compared('CPU µs/event', of(processorTime), 1),
    comparison.median('server busy %', of(({ busyShare }) => busyShare * 100), 0),
    comparison.median('p99 ms', of(p99), 2),
    ...faults(comparison, 'closedLoop')
  ])
}

export function fixedRateTable (comparison: Comparison<Round>, names: readonly string[]): string {
  const of = (figure: Figure<Measurement>): Figure<Round> => figureOf('fixedRate', figure)
  return formatTable(names, [
    { title: 'POST event', value: (name) => name },
    comparison.median('events/s', of(eventsPerSecond), 0),
    comparison.median('p50 ms', of(({ latency }) => latency.p50), 2),
    ...comparison.compared('p99 ms', of(p99), 2),
    comparison.median('max ms', of(({ latency }) => latency.maximum), 1),
    ...comparison.compared('CPU µs/event', of(processorTime), 1),
    ...faults(comparison, 'fixedRate')
  ])
}

/** Sums over all repeats of the answers that do not count as events. */
function faults (comparison: Comparison<Round>, part: Part): Array<Column<string>> {
  const sum = (title: string, figure: Figure<Measurement>): Column<string> => ({
    title,
    value: (name) => String(comparison.values(name, figureOf(part, figure)).reduce((total, value) => total + value, 0))
  })
  return [
    sum('429', ({ statuses }) => statuses[429] ?? 0),
    sum('errors', (measurement) => measurement.errors + refusedOf(measurement))
  ]
}

/** Warnings about the figures, for a reader of the tables. */
export function remarksOn (rounds: readonly Round[]): string {
  return rounds.flatMap(({ kind, repeat, requestsPerSecond, closedLoop, fixedRate }) => [
    ...closedLoop.busyShare < busyEnough
      ? [`${kind}, repeat ${repeat + 1}: the server was busy for ${Math.round(closedLoop.busyShare * 100)} % ` +
          'of the closed loop: the load generator or the machine set the pace']
      : [],
    ...fixedRate.eventsPerSecond < rateEnough * requestsPerSecond
      ? [`${kind}, repeat ${repeat + 1}: reached ${Math.round(fixedRate.eventsPerSecond)} of ${requestsPerSecond} events a second at the fixed rate`]
      : []
  ]).join('\n')
}
