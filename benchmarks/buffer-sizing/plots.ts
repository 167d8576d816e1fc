import { summarise } from '../harness/statistics.ts'
import type { WorkloadAdvice } from './advice.ts'
import { drawBars, drawLines, type Point, type Series } from './chart.ts'
import type { FanOutFigure } from './fan-out.ts'
import { figureOf, valuesOf, type Figure } from './figure.ts'
import { isOverrun, type Measurement, type Reading } from './measurement.ts'
import { formatBytes, formatMilliseconds, significant } from './quantity.ts'
import type { Results } from './results.ts'
import { describeWorkload } from './workload.ts'

/** One chart with what there is to say about it. */
export interface Plot {
  readonly id: string
  readonly title: string
  readonly note: string
  readonly svg: string
}

const bySize = { xScale: 'powers of two', formatX: String, marks: true } as const

/** The charts of one workload; those that have nothing to show are left out. */
export function plotsOf (results: Results, { name }: WorkloadAdvice): Plot[] {
  const { settings: { speeds, commandBuffer, writeBuffer }, measurements } = results
  const all = measurements.filter(({ workload }) => describeWorkload(workload) === name)
  const workload = all[0]?.workload
  if (workload === undefined) return []
  const sweep = all.filter((one) => one.commandBuffer === commandBuffer)
  const channels = all.filter((one) => one.writeBuffer === writeBuffer)
  const bySpeed = (figure: (reading: Reading) => number | null, from = speeds): Series[] => from.map((speed) => ({
    name: speed.name,
    tone: speeds.indexOf(speed) % 5,
    points: pointsOf(sweep, 'writeBuffer', (one) => {
      const reading = one.fixedRate[speed.name]
      return reading === undefined ? null : figure(reading)
    })
  })).filter(({ points }) => points.length > 0)
  const base = { ...bySize, xTitle: 'writeBuffer, frames' }
  const sent = workload.eventsPerSecond * results.settings.sessionsPerSpeed
  const plots: Array<Omit<Plot, 'svg'> & { svg: string }> = [
    plot('throughput', 'Closed loop: events accepted a second', 'Fast readers, as fast as the server answers. Median and quartiles over the repeats.', (title) => drawLines({
      ...base, title, yTitle: 'events a second', yScale: 'linear', formatY: significant, series: [{ name: 'fast', tone: 0, points: pointsOf(sweep, 'writeBuffer', (one) => one.closedLoop?.acceptedPerSecond) }]
    })),
    plot('accepted', 'Fixed rate: accepted of what was sent', `All readers at once, ${sent} events a second to each speed. The rest was answered with 429, or not sent since the answer before was still awaited.`, (title) => drawLines({
      ...base, title, yTitle: 'accepted, %', yScale: 'linear', formatY: (value) => `${significant(value)} %`, series: bySpeed((reading) => reading.acceptedPerSecond / sent * 100)
    })),
    plot('post', 'Fixed rate: p99 of the POST', 'Of accepted events, by the speed of the session’s reader.', (title) => drawLines({
      ...base, title, yTitle: 'p99', yScale: 'log', formatY: formatMilliseconds, series: bySpeed((reading) => reading.post.latency.p99)
    })),
    plot('update', 'Fixed rate: p99 from event to its last update', 'Filled marks were measured at the reader. Hollow ones were worked out for readers that are sent more than they take: all bytes before the next update, divided by the reader’s speed.', (title) => drawLines({
      ...base,
      title,
      yTitle: 'p99',
      yScale: 'log',
      formatY: formatMilliseconds,
      series: [
        ...bySpeed((reading) => reading.update.p99, speeds.filter((speed) => !isOverrun(speed, workload))),
        ...bySpeed((reading) => reading.queueMs, speeds.filter((speed) => isOverrun(speed, workload) && speed.bytesPerSecond > 0))
          .map((series) => ({ ...series, points: series.points.map((point) => ({ ...point, derived: true })) }))
      ]
    })),
    plot('stalled', 'Fixed rate: time stalled', 'Share of the time in which the session’s loop stood still since its write buffer was full.', (title) => drawLines({
      ...base, title, yTitle: 'stalled, %', yScale: 'linear', formatY: (value) => `${significant(value)} %`, series: bySpeed((reading) => reading.server.stalledShare * 100)
    })),
    plot('memory', 'Memory over time', 'Resident bytes of the server’s process through one measurement, by write buffer: streams open, closed loop, pipes filled, fixed rate.', (title) => drawLines({
      title, xTitle: 'time', yTitle: 'resident', xScale: 'linear', yScale: 'linear', marks: false, formatX: formatMilliseconds, formatY: formatBytes, series: memorySeries(sweep, writeBuffer)
    }))
  ]
  if (new Set(channels.map((one) => one.commandBuffer)).size > 1) {
    plots.push(plot('channel', 'Closed loop by command channel', `Events accepted a second with writeBuffer ${writeBuffer}.`, (title) => drawLines({
      ...bySize, xTitle: 'commandBuffer, commands', title, yTitle: 'events a second', yScale: 'linear', formatY: significant, series: [{ name: 'fast', tone: 0, points: pointsOf(channels, 'commandBuffer', (one) => one.closedLoop?.acceptedPerSecond) }]
    })))
  }
  return plots.filter(({ svg }) => svg !== '')
}

function plot (id: string, title: string, note: string, draw: (title: string) => string): Plot {
  return { id, title, note, svg: draw(title) }
}

function pointsOf (measurements: readonly Measurement[], dimension: 'writeBuffer' | 'commandBuffer', figure: Figure): Point[] {
  const sizes = [...new Set(measurements.map((one) => one[dimension]))].sort((first, second) => first - second)
  return sizes.flatMap((x) => {
    const own = measurements.filter((one) => one[dimension] === x)
    const y = figureOf(own, figure)
    if (y === null) return []
    const { lowerQuartile, upperQuartile } = summarise(valuesOf(own, figure))
    return [{ x, y, low: lowerQuartile, high: upperQuartile }]
  })
}

/** Of the smallest, the kept and the largest size, one measurement each. */
function memorySeries (sweep: readonly Measurement[], kept: number): Series[] {
  const sizes = [...new Set(sweep.map(({ writeBuffer }) => writeBuffer))].sort((first, second) => first - second)
  const chosen = [...new Set([sizes[0], kept, sizes.at(-1)])].filter((size) => size !== undefined && sizes.includes(size))
  return chosen.flatMap((size, index) => {
    const last = sweep.filter(({ writeBuffer }) => writeBuffer === size).at(-1)
    if (last === undefined) return []
    return [{ name: `size ${size}`, tone: index, points: last.memory.map(({ milliseconds, residentBytes }) => ({ x: milliseconds, y: residentBytes })) }]
  })
}

/** Deliveries a second of each kind of server, a chart for each workload. */
export function fanOutPlots (figures: readonly FanOutFigure[]): Plot[] {
  const workloads = [...new Set(figures.map(({ workload }) => workload))]
  return workloads.map((workload, index) => ({
    id: `fan-out-${index + 1}`,
    title: workload,
    note: 'Deliveries a second in a closed loop, median and quartiles.',
    svg: drawBars(workload, figures.filter((figure) => figure.workload === workload).map((figure) => ({
      name: figure.kind,
      value: figure.deliveriesPerSecond,
      low: figure.lowerQuartile,
      high: figure.upperQuartile,
      tone: figure.kind.startsWith('tether') ? 0 : 3
    })), significant)
  }))
}
