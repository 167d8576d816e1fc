import { drawBars, drawLines, type LineChart, type Point } from '../harness/report/chart.ts'
import { formatBytes, formatMilliseconds, significant } from '../harness/report/quantity.ts'
import { summarise } from '../harness/report/statistics.ts'
import type { WorkloadAdvice } from './advice.ts'
import type { FanOutFigure } from './fan-out.ts'
import { figureOf, valuesOf, type Figure } from './figure.ts'
import { isOverrun, type Measurement, type Reading } from './measurement.ts'
import type { Results } from './results.ts'
import { fast } from './speed.ts'
import { describeWorkload } from './workload.ts'

/** One chart with its text. */
export interface Plot {
  readonly id: string
  readonly title: string
  readonly note: string
  readonly svg: string
}

const percent = (value: number): string => `${significant(value)} %`

/** The charts of one workload, without empty ones. */
export function plotsOf (results: Results, { name }: WorkloadAdvice): Plot[] {
  const { settings: { speeds, commandBuffer, writeBuffer }, measurements } = results
  const all = measurements.filter(({ workload }) => describeWorkload(workload) === name)
  const workload = all[0]?.workload
  if (workload === undefined) return []
  const sweep = all.filter((one) => one.commandBuffer === commandBuffer)
  const channels = all.filter((one) => one.writeBuffer === writeBuffer)
  const series = speeds.map((speed) => speed.name)
  const bySpeed = (figure: (reading: Reading) => number | null, from = speeds): Point[] => from.flatMap((speed) =>
    pointsOf(sweep, speed.name, 'writeBuffer', (one) => {
      const reading = one.fixedRate[speed.name]
      return reading === undefined ? null : figure(reading)
    }))
  const bySize = { xTitle: 'writeBuffer, frames', xScale: 'steps', formatX: String, series } as const
  const rate = { ...bySize, yTitle: 'events a second', yScale: 'linear', formatY: significant } as const
  const share = { ...bySize, yScale: 'linear', formatY: percent } as const
  const time = { ...bySize, yTitle: 'p99', yScale: 'log', formatY: formatMilliseconds } as const
  const sent = workload.eventsPerSecond * results.settings.sessionsPerSpeed
  const overrun = speeds.filter((speed) => isOverrun(speed, workload))
  const accepted = (one: Measurement): number | undefined => one.closedLoop?.acceptedPerSecond
  const plots = [
    plot('throughput', 'Closed loop: events accepted a second', 'Fast readers, as fast as the server answers. Median and quartiles over the repeats.',
      { ...rate, points: pointsOf(sweep, fast.name, 'writeBuffer', accepted) }),
    plot('accepted', 'Fixed rate: accepted of what was sent', `All readers at once, ${sent} events a second to each speed. The rest was answered with 429, or not sent since the answer before was still awaited.`,
      { ...share, yTitle: 'accepted', points: bySpeed((reading) => reading.acceptedPerSecond / sent * 100) }),
    plot('post', 'Fixed rate: p99 of the POST', 'Of accepted events, by the speed of the session’s reader.',
      { ...time, points: bySpeed((reading) => reading.post.latency.p99) }),
    plot('update', 'Fixed rate: p99 from event to its last update', 'Filled marks were measured at the reader. Hollow ones were worked out for readers that are sent more than they take: all bytes before the next update, divided by the reader’s speed.',
      {
        ...time,
        points: [
          ...bySpeed((reading) => reading.update.p99, speeds.filter((speed) => !overrun.includes(speed))),
          ...bySpeed((reading) => reading.queueMs, overrun.filter(({ bytesPerSecond }) => bytesPerSecond > 0)).map((point) => ({ ...point, derived: true }))
        ]
      }),
    plot('stalled', 'Fixed rate: time stalled', 'Share of the time in which the session’s loop stood still since its write buffer was full.',
      { ...share, yTitle: 'stalled', points: bySpeed((reading) => reading.server.stalledShare * 100) }),
    memoryPlot(sweep, writeBuffer)
  ]
  if (new Set(channels.map((one) => one.commandBuffer)).size > 1) {
    plots.push(plot('channel', 'Closed loop by command channel', `Events accepted a second with writeBuffer ${writeBuffer}.`,
      { ...rate, xTitle: 'commandBuffer, commands', points: pointsOf(channels, fast.name, 'commandBuffer', accepted) }))
  }
  return plots.filter(({ svg }) => svg !== '')
}

function plot (id: string, title: string, note: string, chart: LineChart): Plot {
  return { id, title, note, svg: drawLines(chart) }
}

function pointsOf (measurements: readonly Measurement[], series: string, dimension: 'writeBuffer' | 'commandBuffer', figure: Figure): Point[] {
  const sizes = [...new Set(measurements.map((one) => one[dimension]))].sort((first, second) => first - second)
  return sizes.flatMap((x) => {
    const own = measurements.filter((one) => one[dimension] === x)
    const y = figureOf(own, figure)
    if (y === null) return []
    const { lowerQuartile, upperQuartile } = summarise(valuesOf(own, figure))
    return [{ series, x, y, low: lowerQuartile, high: upperQuartile }]
  })
}

/** One measurement each of the smallest, the kept and the largest size. */
function memoryPlot (sweep: readonly Measurement[], kept: number): Plot {
  const sizes = [...new Set(sweep.map(({ writeBuffer }) => writeBuffer))].sort((first, second) => first - second)
  const chosen = [...new Set([sizes[0], kept, sizes.at(-1)])].filter((size) => size !== undefined && sizes.includes(size))
  const nameOf = (size: number | undefined): string => `size ${size}`
  const points = chosen.flatMap((size) => {
    const last = sweep.filter(({ writeBuffer }) => writeBuffer === size).at(-1)
    return (last?.memory ?? []).map(({ milliseconds, residentBytes }) => ({ series: nameOf(size), x: milliseconds, y: residentBytes }))
  })
  return plot('memory', 'Memory over time', 'Resident bytes of the server’s process through one measurement, by write buffer: streams open, closed loop, pipes filled, fixed rate.', {
    xTitle: 'time', yTitle: 'resident', xScale: 'linear', yScale: 'linear', formatX: formatMilliseconds, formatY: formatBytes, points, series: chosen.map(nameOf)
  })
}

/** Deliveries a second of each kind of server, a chart for each workload. */
export function fanOutPlots (figures: readonly FanOutFigure[]): Plot[] {
  const workloads = [...new Set(figures.map(({ workload }) => workload))]
  return workloads.map((workload, index) => ({
    id: `fan-out-${index + 1}`,
    title: workload,
    note: 'Deliveries a second in a closed loop, median and quartiles.',
    svg: drawBars(figures.filter((figure) => figure.workload === workload).map((figure) => ({
      name: figure.kind,
      value: figure.deliveriesPerSecond,
      low: figure.lowerQuartile,
      high: figure.upperQuartile,
      tone: figure.kind.startsWith('tether') ? 0 : 3
    })), significant)
  }))
}
