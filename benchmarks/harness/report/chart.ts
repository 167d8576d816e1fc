import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'

export interface Point {
  readonly series: string
  readonly x: number
  readonly y: number
  /** Interval of the true value; absent if unknown. */
  readonly low?: number
  readonly high?: number
  /** Whether it is computed, not measured; drawn hollow. */
  readonly derived?: boolean
}

export interface LineChart {
  readonly xTitle: string
  readonly yTitle: string
  /** Whether sizes stand at even distances, or on a linear scale from 0. */
  readonly xScale: 'steps' | 'linear'
  readonly yScale: 'linear' | 'log'
  formatX (value: number): string
  formatY (value: number): string
  readonly points: readonly Point[]
  /** All series with a colour. A series has the same colour in all charts. */
  readonly series: readonly string[]
}

export interface Bar {
  readonly name: string
  readonly value: number
  readonly low: number
  readonly high: number
  readonly tone: number
}

/** Colours that people with any kind of colour vision can distinguish. */
const light = ['#2a78d6', '#008300', '#b06a00', '#4a3aa7', '#d13438']
const dark = ['#5c9ff0', '#3fae5a', '#d99a2b', '#a49bf0', '#f07878']
const tones = light.map((_, index) => `var(--series-${index})`)

/** Colours for light and dark under one selector, such as `:root` of a page. */
export function colourStyle (root: string): string {
  const series = (colours: readonly string[]): string => colours.map((colour, index) => `--series-${index}: ${colour};`).join(' ')
  return `${root} { color-scheme: light dark; --surface: #fff; --raised: #f5f6f8; --text: #16181d; --muted: #565d6b; --line: #dfe3ea; ${series(light)} }
@media (prefers-color-scheme: dark) {
  ${root} { --surface: #14161b; --raised: #1d2027; --text: #eceef2; --muted: #a3abba; --line: #323743; ${series(dark)} }
}`
}

const { document } = parseHTML('<!doctype html><html><body></body></html>')
const base = { document: document as never, width: 460, style: { background: 'none', color: 'var(--muted)', fontSize: '13px', overflow: 'visible' } }

/** An SVG with a line for each series and a legend above. Its colours come from the page around it. Empty without values. */
export function drawLines ({ xTitle, yTitle, xScale, yScale, formatX, formatY, points, series }: LineChart): string {
  const seen = points.filter(({ y }) => Number.isFinite(y) && (yScale === 'linear' || y > 0))
  if (seen.length === 0) return ''
  const names = series.filter((name) => seen.some((point) => point.series === name))
  const isMarked = xScale === 'steps'
  const line = { x: 'x', y: 'y', z: 'series', stroke: 'series', strokeWidth: 2 } as const
  // A logarithm has no end to draw an interval to.
  const ranged = seen.filter(({ low }) => low !== undefined && (yScale === 'linear' || low > 0))
  const tip = ({ series, x, y, low, high, derived }: Point): string => `${series}, ${formatX(x)}: ${formatY(y)}` +
    (low === undefined || high === undefined ? '' : ` (${formatY(low)} to ${formatY(high)})`) + (derived === true ? ', worked out' : '')
  return markupOf(Plot.plot({
    ...base,
    height: 300,
    marginLeft: 76,
    marginRight: 24,
    marginTop: 30,
    marginBottom: 44,
    ariaLabel: `${yTitle} against ${xTitle}`,
    x: { type: isMarked ? 'point' : 'linear', label: xTitle, labelAnchor: 'center', tickFormat: formatX, labelArrow: 'none', ...isMarked ? {} : { ticks: 5, zero: true } },
    y: { type: yScale, label: yTitle, labelAnchor: 'center', labelOffset: 70, grid: true, tickFormat: formatY, labelArrow: 'none', ticks: yScale === 'log' ? 3 : 5, nice: true, ...yScale === 'log' ? {} : { zero: true } },
    color: { domain: [...series], range: series.map((_, index) => tones[index % tones.length] ?? '') },
    marks: [
      Plot.ruleX(ranged, { x: 'x', y1: 'low', y2: 'high', stroke: 'series', strokeOpacity: 0.55 }),
      Plot.line(seen, line),
      ...isMarked
        ? [
            Plot.dot(seen.filter(({ derived }) => derived !== true), { x: 'x', y: 'y', fill: 'series', r: 4, title: tip }),
            Plot.dot(seen.filter(({ derived }) => derived === true), { x: 'x', y: 'y', stroke: 'series', fill: 'var(--surface)', r: 4, title: tip })
          ]
        : [],
      ...names.length > 1
        ? names.map((name, index) => Plot.text([name], { frameAnchor: 'top-left', dx: index * 76, dy: -18, text: [name], fill: () => name, fontWeight: 600, textAnchor: 'start' }))
        : []
    ]
  }))
}

/** A bar for each value, with its interval. */
export function drawBars (bars: readonly Bar[], format: (value: number) => string): string {
  if (bars.length === 0) return ''
  return markupOf(Plot.plot({
    ...base,
    marginLeft: 150,
    marginRight: 70,
    x: { axis: null, zero: true },
    y: { label: null, domain: bars.map(({ name }) => name) },
    marks: [
      Plot.barX(bars, { x: 'value', y: 'name', fill: ({ tone }: Bar) => tones[tone] ?? '' }),
      Plot.ruleY(bars, { x1: 'low', x2: 'high', y: 'name', stroke: 'var(--text)', strokeOpacity: 0.7 }),
      Plot.text(bars, { x: 'high', y: 'name', text: ({ value }: Bar) => format(value), textAnchor: 'start', dx: 6 })
    ]
  }))
}

/** A chart as a file of its own, colours included. */
export function renderImage (svg: string): string {
  return svg
    .replace('<svg ', '<svg xmlns="http://www.w3.org/2000/svg" ')
    .replace('>', `><style>${colourStyle('svg')}</style><rect width="100%" height="100%" fill="var(--surface)"/>`) + '\n'
}

/** The elements have no type here: some package declares an empty one in place of the browser's. */
function markupOf (drawing: object): string {
  return (drawing as { outerHTML: string }).outerHTML
}
