import { formatMachine } from '../harness/report/machine.ts'
import { formatBytes, formatMilliseconds, significant } from '../harness/report/quantity.ts'
import { formatTable, type Column } from '../harness/report/table.ts'
import { refusedOf } from '../harness/load/recorder.ts'
import type { LoadAdvice, WorkloadAdvice } from './advice.ts'
import { formatConfiguration } from './configuration.ts'
import { figureOf, type Figure } from './figure.ts'
import type { Cell, Measurement, Reading } from './measurement.ts'
import type { Interval } from './recommendation.ts'
import { remarksOn } from './remarks.ts'
import type { Results } from './results.ts'
import { describeWorkload } from './workload.ts'

/** Report of a run, for the terminal. */
export function describeResults (results: Results): string {
  const { machine, settings, measurements, advice, complete } = results
  const lines = [formatMachine(machine)]
  if (!complete) lines.push('', `Ended early: ${measurements.length} of ${settings.repeats * settings.cells.length} measurements.`)
  lines.push(...remarksOn(results))
  for (const one of advice) {
    lines.push('', `# ${one.name}`, '', ...describeTables(results, one), ...describeLoads(one), '', one.summary)
    if (one.configuration !== null) lines.push('', formatConfiguration(one.configuration))
  }
  return lines.join('\n')
}

/** Advice of each load for each option. */
export function describeLoads ({ writeBuffer, commandBuffer }: WorkloadAdvice): string[] {
  const describe = (option: string) => ({ load, recommendation: { summary, remarks } }: LoadAdvice): string =>
    `${option}, ${load}: ${[summary, ...remarks].join(' ')}`
  return [...writeBuffer.map(describe('writeBuffer')), ...commandBuffer.map(describe('commandBuffer'))]
}

/** Each size with the interval by which it is judged. */
export function describeIntervals ({ writeBuffer, commandBuffer }: WorkloadAdvice): string {
  const rows = [['writeBuffer', writeBuffer] as const, ['commandBuffer', commandBuffer] as const].flatMap(([option, loads]) =>
    loads.flatMap(({ load, latency, recommendation: { assessments } }) => assessments.map((assessment) => ({ ...assessment, option, load, heldAgainst: latency }))))
  const interval = ({ low, median, high }: Interval, format: (value: number) => string): string =>
    Number.isFinite(high) ? `${format(median)} (${format(low)} to ${format(high)})` : format(median)
  return formatTable(rows, [
    { title: 'load', value: ({ load }) => load },
    { title: 'option', value: ({ option }) => option },
    { title: 'size', value: ({ buffer }) => String(buffer) },
    { title: 'events/s', value: ({ throughput }) => interval(throughput, (value) => value.toFixed(1)) },
    { title: 'of the best', value: ({ share }) => interval(share, (value) => `${Math.round(value * 100)} %`) },
    { title: 'p99', value: ({ latencyMs, heldAgainst }) => latencyMs === null ? '–' : `${heldAgainst} ${interval(latencyMs, formatMilliseconds)}` },
    { title: 'within 5 %', value: ({ speed }) => speed === 'within' ? 'yes' : speed === 'below' ? 'no' : speed }
  ])
}

/** Medians over the repeats, one row for a size. */
export function describeTables ({ measurements, settings }: Results, advice: WorkloadAdvice): string[] {
  const cells = settings.cells.filter(({ workload }) => describeWorkload(workload) === advice.name)
    .filter((cell) => measurements.some((one) => isOf(one, cell)))
    .sort((first, second) => first.commandBuffer - second.commandBuffer || first.writeBuffer - second.writeBuffer)
  const column = (title: string, figure: Figure, format: (value: number) => string = significant): Column<Cell> => ({
    title,
    value: (cell) => {
      const median = figureOf(measurements.filter((one) => isOf(one, cell)), figure)
      return median === null ? '–' : format(median)
    }
  })
  const sizes: Array<Column<Cell>> = [
    { title: 'write', value: ({ writeBuffer }) => String(writeBuffer) },
    { title: 'channel', value: ({ commandBuffer }) => String(commandBuffer) },
    { title: 'repeats', value: (cell) => String(measurements.filter((one) => isOf(one, cell)).length) }
  ]
  const readings: Array<[string, (one: Measurement) => Reading | null | undefined]> = [
    ['Closed loop, fast readers', (one) => one.closedLoop],
    ...settings.speeds.map(({ name }): [string, (one: Measurement) => Reading | undefined] => [`Fixed rate, ${name} readers`, (one) => one.fixedRate[name]])
  ]
  return readings.filter(([, reading]) => measurements.some((one) => reading(one) !== null && reading(one) !== undefined)).flatMap(([title, reading]) => {
    const of = (name: string, figure: (reading: Reading) => number | null, format?: (value: number) => string): Column<Cell> => column(name, (one) => {
      const found = reading(one)
      return found === null || found === undefined ? null : figure(found)
    }, format)
    return [`${title}: medians`, '', formatTable(cells, [
      ...sizes,
      of('events/s', ({ acceptedPerSecond }) => acceptedPerSecond),
      of('POST p50 ms', ({ post }) => post.latency.p50),
      of('p99', ({ post }) => post.latency.p99),
      of('p99.9', ({ post }) => post.latency.p999),
      of('429/s', ({ post }) => post.busy / post.seconds),
      of('errors', ({ post }) => post.errors + refusedOf(post)),
      of('stalls', ({ server }) => server.stalls),
      of('stalled %', ({ server }) => server.stalledShare * 100),
      of('update p50 ms', ({ update }) => update.p50),
      of('p99', ({ update }) => update.p99),
      of('queue s', ({ queueMs }) => queueMs === null ? null : queueMs / 1000),
      of('on the way', ({ bytesOnTheWay }) => bytesOnTheWay, formatBytes),
      column('resident', (one) => Math.max(...one.memory.map(({ residentBytes }) => residentBytes)), formatBytes)
    ]), '']
  })
}

function isOf (one: Measurement, cell: Cell): boolean {
  return one.writeBuffer === cell.writeBuffer && one.commandBuffer === cell.commandBuffer &&
    describeWorkload(one.workload) === describeWorkload(cell.workload)
}
