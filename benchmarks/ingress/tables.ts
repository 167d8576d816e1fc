import { summarise } from '../harness/statistics.ts'
import { formatTable, type Column } from '../harness/table.ts'
import { eventsPerSecond, figures, p99, processorTime, ratios, sumOf, type Figure, type Measurement, type Part, type Round } from './measurement.ts'

/** Below this the load generator sets the pace and the closed loop says little about the server. */
const busyEnough = 0.85
/** Below this part of the fixed rate, the latencies are those of another rate. */
const rateEnough = 0.97

export function closedLoopTable (rounds: readonly Round[], names: readonly string[]): string {
  return formatTable(names, [
    { title: 'POST event', value: (name) => name },
    ...columns(rounds, 'closedLoop', 'events/s', eventsPerSecond, 0),
    ...columns(rounds, 'closedLoop', 'CPU µs/event', processorTime, 1),
    median(rounds, 'closedLoop', 'server busy %', ({ busy }) => busy * 100, 0),
    median(rounds, 'closedLoop', 'p99 ms', p99, 2),
    ...faults(rounds, 'closedLoop')
  ])
}

export function fixedRateTable (rounds: readonly Round[], names: readonly string[]): string {
  return formatTable(names, [
    { title: 'POST event', value: (name) => name },
    median(rounds, 'fixedRate', 'events/s', eventsPerSecond, 0),
    median(rounds, 'fixedRate', 'p50 ms', ({ latencyMs }) => latencyMs.p50, 2),
    ...columns(rounds, 'fixedRate', 'p99 ms', p99, 2),
    median(rounds, 'fixedRate', 'max ms', ({ latencyMs }) => latencyMs.maximum, 1),
    ...columns(rounds, 'fixedRate', 'CPU µs/event', processorTime, 1),
    ...faults(rounds, 'fixedRate')
  ])
}

function median (rounds: readonly Round[], part: Part, title: string, figure: Figure, digits: number): Column<string> {
  return { title, value: (name) => summarise(figures(rounds, name, part, figure)).median.toFixed(digits) }
}

/** The median, how far it strayed, and how it compares. */
function columns (rounds: readonly Round[], part: Part, title: string, figure: Figure, digits: number): Array<Column<string>> {
  return [
    median(rounds, part, title, figure, digits),
    {
      title: 'min–max',
      value: (name) => {
        const { minimum, maximum } = summarise(figures(rounds, name, part, figure))
        return `${minimum.toFixed(digits)}–${maximum.toFixed(digits)}`
      }
    },
    { title: '× bare', value: (name) => summarise(ratios(rounds, name, part, figure)).median.toFixed(2) }
  ]
}

/** Sums over all repeats of what is not counted as an event. */
function faults (rounds: readonly Round[], part: Part): Array<Column<string>> {
  const sum = (name: string, figure: Figure): string =>
    String(figures(rounds, name, part, figure).reduce((total, value) => total + value, 0))
  return [
    { title: '429', value: (name) => sum(name, ({ statuses }) => statuses[429] ?? 0) },
    { title: 'errors', value: (name) => sum(name, errorsOf) },
    { title: 'unhandled', value: (name) => sum(name, ({ unhandled }) => unhandled) }
  ]
}

function errorsOf ({ statuses, errors }: Measurement): number {
  return errors + sumOf(statuses, (status) => (status < 200 || status > 299) && status !== 429)
}

/** What a reader of the tables must know before believing them. */
export function remarks (rounds: readonly Round[]): string[] {
  const remarks: string[] = []
  for (const { kind, repeat, requestsPerSecond, closedLoop, fixedRate } of rounds) {
    if (closedLoop.busy < busyEnough) {
      remarks.push(`${kind}, repeat ${repeat + 1}: the server was busy for ${Math.round(closedLoop.busy * 100)} % ` +
        'of the closed loop: the load generator or the machine set the pace')
    }
    if (fixedRate.eventsPerSecond < rateEnough * requestsPerSecond) {
      remarks.push(`${kind}, repeat ${repeat + 1}: reached ${Math.round(fixedRate.eventsPerSecond)} ` +
        `of ${requestsPerSecond} events a second at the fixed rate`)
    }
  }
  return remarks.length === 0 ? [] : ['', ...remarks]
}
