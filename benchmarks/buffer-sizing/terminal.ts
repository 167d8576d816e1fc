import { formatMachine } from '../harness/machine.ts'
import { formatTable, type Column } from '../harness/table.ts'
import type { LoadAdvice, WorkloadAdvice } from './advice.ts'
import { formatConfiguration } from './configuration.ts'
import { figureOf, type Figure } from './figure.ts'
import type { Cell, Measurement, Reading } from './measurement.ts'
import { formatBytes, significant } from './quantity.ts'
import { remarksOn } from './remarks.ts'
import type { Results } from './results.ts'
import { describeWorkload } from './workload.ts'

/** What a run says, for the terminal. */
export function describeResults (results: Results): string {
  const { machine, settings, measurements, advice, complete } = results
  const lines = [formatMachine(machine)]
  if (!complete) lines.push('', `Ended early: ${measurements.length} of ${settings.repeats * settings.cells.length} measurements.`)
  lines.push(...remarksOn(results))
  for (const one of advice) {
    lines.push('', `# ${one.name}`, '', ...describeTables(results, one), ...one.writeBuffer.map((load) => describeLoad('writeBuffer', load)),
      ...one.commandBuffer.map((load) => describeLoad('commandBuffer', load)), '', one.summary)
    if (one.configuration !== null) lines.push('', formatConfiguration(one.configuration))
  }
  return lines.join('\n')
}

function describeLoad (option: string, { load, recommendation: { summary, remarks } }: LoadAdvice): string {
  return `${option}, ${load}: ${[summary, ...remarks].join(' ')}`
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
  return readings.filter(([, reading]) => measurements.some((one) => reading(one) !== null && reading(one) !== undefined)).flatMap(([title, reading]) => [
    `${title}: medians`, '',
    formatTable(cells, [
      ...sizes,
      column('events/s', (one) => reading(one)?.acceptedPerSecond),
      column('POST p50 ms', (one) => reading(one)?.post.latency.p50),
      column('p99', (one) => reading(one)?.post.latency.p99),
      column('p99.9', (one) => reading(one)?.post.latency.p999),
      column('429/s', (one) => rateOf(reading(one))),
      column('errors', (one) => errorsOf(reading(one))),
      column('stalls', (one) => reading(one)?.server.stalls),
      column('stalled %', (one) => percentOf(reading(one))),
      column('update p50 ms', (one) => reading(one)?.update.p50),
      column('p99', (one) => reading(one)?.update.p99),
      column('queue s', (one) => secondsOf(reading(one))),
      column('on the way', (one) => reading(one)?.bytesOnTheWay, formatBytes),
      column('resident', (one) => Math.max(...one.memory.map(({ residentBytes }) => residentBytes)), formatBytes)
    ]), ''
  ])
}

function isOf (one: Measurement, cell: Cell): boolean {
  return one.writeBuffer === cell.writeBuffer && one.commandBuffer === cell.commandBuffer &&
    describeWorkload(one.workload) === describeWorkload(cell.workload)
}

function rateOf (reading: Reading | null | undefined): number | null {
  return reading === null || reading === undefined ? null : reading.post.busy / reading.post.seconds
}

function errorsOf (reading: Reading | null | undefined): number | null {
  return reading === null || reading === undefined ? null : reading.post.errors + reading.post.refused
}

function percentOf (reading: Reading | null | undefined): number | null {
  return reading === null || reading === undefined ? null : reading.server.stalledShare * 100
}

function secondsOf (reading: Reading | null | undefined): number | null {
  return reading?.queueMs === null || reading?.queueMs === undefined ? null : reading.queueMs / 1000
}
