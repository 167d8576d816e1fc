import { summarise } from '../harness/statistics.ts'
import { formatTable, type Column } from '../harness/table.ts'
import {
  figuresOf, maximum, p50, p99, pacedProcessorTime, processorTime, ratiosOf, reachedRate, readerTime, residentMiB, throughput, userTime, type Figure
} from './figures.ts'
import type { Round } from './round.ts'
import type { Workload } from './workload.ts'

/** The tables of one workload: medians, quartiles, and the median of the ratios to the bare loop. */
export function describeWorkload (rounds: readonly Round[], { name: workload }: Workload, names: readonly string[]): string[] {
  const median = (title: string, figure: Figure, digits: number): Column<string> => ({
    title,
    value: (name) => show(summarise(figuresOf(rounds, workload, name, figure)).median, digits)
  })
  const quartiles = (values: readonly number[], digits: number): string => {
    const { lowerQuartile, upperQuartile } = summarise(values)
    return `${show(lowerQuartile, digits)}–${show(upperQuartile, digits)}`
  }
  const compared = (title: string, figure: Figure, digits: number): Array<Column<string>> => [
    median(title, figure, digits),
    { title: 'quartiles', value: (name) => quartiles(figuresOf(rounds, workload, name, figure), digits) },
    { title: '× bare', value: (name) => show(summarise(ratiosOf(rounds, workload, name, figure)).median, 2) },
    { title: 'quartiles', value: (name) => quartiles(ratiosOf(rounds, workload, name, figure), 2) }
  ]
  const lines = [`${workload}: closed loop`, '', formatTable(names, [
    { title: 'kind', value: (name) => name },
    ...compared('CPU µs/delivery', processorTime, 2),
    median('of it user', userTime, 2),
    { title: '× bare', value: (name) => show(summarise(ratiosOf(rounds, workload, name, userTime)).median, 2) },
    ...compared('deliveries/s', throughput, 0),
    median('readers CPU µs', readerTime, 2),
    median('server MiB', residentMiB, 0)
  ])]
  const paced = rounds.find((round) => round.workload === workload)?.fixedRate
  if (paced === undefined) return lines
  return [...lines, '', `${workload}: fixed rate, ${paced.ticksPerSecond.toFixed(1)} ticks a second`, '', formatTable(names, [
    { title: 'kind', value: (name) => name },
    median('p50 ms', p50, 2),
    ...compared('p99 ms', p99, 2),
    median('max ms', maximum, 1),
    median('CPU µs/delivery', pacedProcessorTime, 2),
    median('of the rate', reachedRate, 2)
  ])]
}

/** What is not known, such as the user time of a server that is not ours, is left open. */
function show (value: number, digits: number): string {
  return Number.isNaN(value) ? '?' : value.toFixed(digits)
}
