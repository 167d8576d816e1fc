import { escapeText } from './markup.ts'

export interface Point {
  readonly x: number
  readonly y: number
  /** Where it may lie in truth; left out where nothing is known of that. */
  readonly low?: number
  readonly high?: number
  /** Drawn hollow: not measured but worked out. */
  readonly derived?: boolean
}

export interface Series {
  readonly name: string
  /** Colour and mark, 0 to 4; the same thing has the same one in all charts. */
  readonly tone: number
  readonly points: readonly Point[]
}

export interface LineChart {
  readonly title: string
  readonly xTitle: string
  readonly yTitle: string
  readonly xScale: 'linear' | 'powers of two'
  readonly yScale: 'linear' | 'log'
  readonly formatX: (value: number) => string
  readonly formatY: (value: number) => string
  readonly series: readonly Series[]
  /** Marks at the points; without them only the line. */
  readonly marks: boolean
}

export interface Bar {
  readonly name: string
  readonly value: number
  readonly low: number
  readonly high: number
  readonly tone: number
}

type Scale = (value: number) => number

const width = 460
const height = 300
const margin = { top: 14, right: 84, bottom: 44, left: 58 }
const labelHeight = 15

/** A line for each series, its name at the end; an SVG that takes its colours from the page around it. */
export function drawLines (chart: LineChart): string {
  const points = chart.series.flatMap((series) => series.points)
  const xs = points.map(({ x }) => x)
  const isLog = chart.yScale === 'log'
  const ys = points.flatMap(({ y, low, high }) => [y, low ?? y, high ?? y]).filter((value) => Number.isFinite(value) && (!isLog || value > 0))
  if (xs.length === 0 || ys.length === 0) return ''
  const yTicks = isLog ? decades(Math.min(...ys), Math.max(...ys)) : evenTicks(Math.max(...ys))
  const xTicks = chart.xScale === 'linear' ? evenTicks(Math.max(...xs)) : [...new Set(xs)].sort((first, second) => first - second)
  const x = scaleOf(chart.xScale === 'linear' ? (value) => value : Math.log2, chart.xScale === 'linear' ? [0, Math.max(...xs)] : xTicks, margin.left + 8, width - margin.right - 8)
  const y = scaleOf(isLog ? Math.log10 : (value) => value, yTicks, height - margin.bottom, margin.top)
  const floor = Math.min(...yTicks)
  const bounded: Scale = (value) => y(Math.max(floor, value))
  const parts = [
    ...yTicks.map((tick) => `<line class="grid" x1="${margin.left}" x2="${width - margin.right}" y1="${round(y(tick))}" y2="${round(y(tick))}"/>` +
      `<text x="${margin.left - 8}" y="${round(y(tick) + 4)}" text-anchor="end">${escapeText(chart.formatY(tick))}</text>`),
    ...xTicks.filter((tick) => x(tick) <= width - margin.right).map((tick) =>
      `<text x="${round(x(tick))}" y="${height - margin.bottom + 18}" text-anchor="middle">${escapeText(chart.formatX(tick))}</text>`),
    `<text x="${(margin.left + width - margin.right) / 2}" y="${height - 8}" text-anchor="middle">${escapeText(chart.xTitle)}</text>`,
    ...chart.series.map((series, index) => drawSeries(chart, series, x, bounded, index - (chart.series.length - 1) / 2)),
    ...drawNames(chart.series, bounded)
  ]
  return svg(`${chart.title}: ${chart.yTitle} against ${chart.xTitle}`, height, parts)
}

function drawSeries (chart: LineChart, { name, tone, points }: Series, x: Scale, y: Scale, place: number): string {
  // Beside each other, so that intervals at the same size do not hide one another.
  const shift = chart.marks ? place * 3 : 0
  const at = (point: Point): string => `${round(x(point.x) + shift)},${round(y(point.y))}`
  const line = `<polyline class="line" points="${points.map(at).join(' ')}"/>`
  if (!chart.marks) return `<g class="tone-${tone}">${line}</g>`
  const marks = points.map((point) => {
    const [left = '0', top = '0'] = at(point).split(',')
    const interval = point.low === undefined || point.high === undefined
      ? ''
      : `<line class="interval" x1="${left}" x2="${left}" y1="${round(y(point.low))}" y2="${round(y(point.high))}"/>`
    const text = `${name}, ${chart.formatX(point.x)}: ${chart.formatY(point.y)}` +
      (point.low === undefined || point.high === undefined ? '' : ` (${chart.formatY(point.low)} to ${chart.formatY(point.high)})`) +
      (point.derived === true ? ', worked out' : '')
    return `${interval}<circle class="mark${point.derived === true ? ' derived' : ''}" cx="${left}" cy="${top}" r="4"><title>${escapeText(text)}</title></circle>`
  })
  return `<g class="tone-${tone}">${line}${marks.join('')}</g>`
}

/** At the end of each line; moved apart where lines end close to each other. */
function drawNames (series: readonly Series[], y: Scale): string[] {
  if (series.length < 2) return []
  const names = series.flatMap(({ name, tone, points }) => {
    const last = points.at(-1)
    return last === undefined ? [] : [{ name, tone, end: y(last.y), top: y(last.y) }]
  }).sort((first, second) => first.end - second.end)
  for (const [index, name] of names.entries()) name.top = Math.max(name.top, (names[index - 1]?.top ?? -Infinity) + labelHeight)
  const over = Math.max(0, (names.at(-1)?.top ?? 0) - (height - margin.bottom))
  for (const [index, name] of [...names.entries()].reverse()) {
    name.top = Math.min(name.top, index === names.length - 1 ? name.top - over : (names[index + 1]?.top ?? 0) - labelHeight)
  }
  const left = width - margin.right
  return names.map(({ name, tone, end, top }) => `<g class="tone-${tone}"><path class="leader" d="M${left},${round(end)}L${left + 9},${round(top)}"/>` +
    `<text class="name" x="${left + 13}" y="${round(top + 4)}">${escapeText(name)}</text></g>`)
}

/** A bar for each, with its interval. */
export function drawBars (title: string, bars: readonly Bar[], format: (value: number) => string): string {
  const rowHeight = 46
  const right = width - 12
  const most = Math.max(...bars.map(({ high }) => high))
  if (!(most > 0)) return ''
  const x: Scale = (value) => 8 + value / most * (right - 8)
  const parts = bars.map(({ name, value, low, high, tone }, index) => {
    const top = index * rowHeight
    const middle = top + 32
    return `<g class="tone-${tone}"><text x="8" y="${top + 16}">${escapeText(name)}</text>` +
      `<text x="${right}" y="${top + 16}" text-anchor="end">${escapeText(format(value))}</text>` +
      `<rect class="bar" x="8" y="${top + 23}" width="${round(x(value) - 8)}" height="16" rx="3"/>` +
      `<line class="interval over" x1="${round(x(low))}" x2="${round(x(high))}" y1="${middle - 1}" y2="${middle - 1}"/></g>`
  })
  return svg(title, bars.length * rowHeight + 4, parts)
}

function svg (label: string, high: number, parts: readonly string[]): string {
  return `<svg viewBox="0 0 ${width} ${high}" role="img" aria-label="${escapeText(label)}">${parts.join('')}</svg>`
}

function scaleOf (transform: Scale, domain: readonly number[], from: number, to: number): Scale {
  const low = transform(Math.min(...domain))
  const high = transform(Math.max(...domain))
  return (value) => high === low ? (from + to) / 2 : from + (transform(value) - low) / (high - low) * (to - from)
}

/** 0 and a few round figures up to one that is not less than `most`. */
function evenTicks (most: number): number[] {
  if (!(most > 0)) return [0, 1]
  const magnitude = 10 ** Math.floor(Math.log10(most / 4))
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * magnitude).find((candidate) => candidate * 5 >= most) ?? most
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, index) => index * step)
}

function decades (least: number, most: number): number[] {
  const first = Math.floor(Math.log10(least))
  const last = Math.max(first + 1, Math.ceil(Math.log10(most)))
  return Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index))
}

function round (value: number): number {
  return Math.round(value * 10) / 10
}
