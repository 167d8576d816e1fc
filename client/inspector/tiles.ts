import UPlot from 'uplot'
import type { Sample } from '../../schemas/inspector.ts'
import { byId, make, say } from './dom.ts'
import { brief, bytes, count, rate } from './format.ts'

type Field = 'sessions' | 'streams' | 'updates' | 'events' | 'bufferedBytes' | 'stalls'

const fields: ReadonlyArray<{ readonly field: Field, readonly label: string, readonly show: (value: number) => string, readonly axis: (value: number) => string }> = [
  { field: 'sessions', label: 'Sessions', show: count, axis: brief },
  { field: 'streams', label: 'Streams', show: count, axis: brief },
  { field: 'updates', label: 'Updates a second', show: rate, axis: brief },
  { field: 'events', label: 'Events a second', show: rate, axis: brief },
  { field: 'bufferedBytes', label: 'Buffered', show: bytes, axis: bytes },
  { field: 'stalls', label: 'Stalls a second', show: rate, axis: brief }
]

const keptMs = 300_000
/** A chart is at least this long, also when little is known. */
const leastMs = 60_000
const minuteMs = 60_000

/** The totals over time, a chart for each. */
export class Tiles {
  readonly #tiles: Tile[]
  #samples: Sample[] = []

  constructor () {
    this.#tiles = fields.map((field) => new Tile(byId('tiles'), field))
    for (const query of ['(prefers-color-scheme: dark)', '(forced-colors: active)']) {
      matchMedia(query).addEventListener('change', () => { for (const tile of this.#tiles) tile.restyle() })
    }
  }

  /** Adds what the server knows to what the page has seen: after a broken connection, the server may know less. */
  join (samples: readonly Sample[]): void {
    const known = new Set(this.#samples.map(({ at }) => at))
    this.#samples = [...this.#samples, ...samples.filter(({ at }) => !known.has(at))].sort((left, right) => left.at - right.at)
    this.#draw()
  }

  /** @param isHeld whether it is drawn later */
  add (sample: Sample, isHeld: boolean): void {
    if (this.#samples.at(-1)?.at === sample.at) return
    this.#samples.push(sample)
    if (!isHeld) this.#draw()
  }

  drawHeld (): void {
    this.#draw()
  }

  #draw (): void {
    const last = this.#samples.at(-1)
    if (last === undefined) return
    this.#samples = this.#samples.filter(({ at }) => at >= last.at - keptMs)
    const from = Math.min(this.#samples[0]!.at, last.at - leastMs)
    for (const tile of this.#tiles) tile.draw(this.#samples, from, last.at)
  }
}

class Tile {
  readonly #field: typeof fields[number]
  readonly #now = make('p', 'now', '–')
  readonly #span = make('p', 'span', ' ')
  readonly #chart = make('div', 'chart')
  readonly #plot: UPlot
  #from = 0
  #end = leastMs

  constructor (parent: HTMLElement, field: typeof fields[number]) {
    this.#field = field
    const tile = make('article', 'tile')
    tile.append(make('h3', '', field.label), this.#now, this.#span, this.#chart)
    tile.dataset.field = field.field
    // What is drawn is also said, in numbers.
    this.#chart.setAttribute('aria-hidden', 'true')
    parent.append(tile)
    const ink = () => getComputedStyle(this.#chart).color
    const grid = () => getComputedStyle(this.#chart).borderTopColor
    const soft = () => getComputedStyle(this.#chart).outlineColor
    const font = '11px system-ui, sans-serif'
    this.#plot = new UPlot({
      ...this.#size(),
      ms: 1,
      padding: [6, 4, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      scales: {
        x: { time: true, range: () => [this.#from, this.#end] },
        y: { range: (_plot, _low, high) => [0, Math.max(1, (high ?? 0) * 1.15)] }
      },
      axes: [
        { size: 22, gap: 3, font, stroke: soft, grid: { show: false }, ticks: { show: false }, splits: () => this.#times(), values: (_plot, splits) => splits.map((at) => this.#ago(at)) },
        { size: field.field === 'bufferedBytes' ? 58 : 40, gap: 4, font, stroke: soft, grid: { stroke: grid, width: 1 }, ticks: { show: false }, splits: (plot) => [0, roundBelow(plot.scales.y!.max ?? 1, field.field === 'bufferedBytes' ? 1_024 : 1_000)], values: (_plot, splits) => splits.map((value) => field.axis(value)) }
      ],
      series: [{}, { stroke: ink, width: 1.75, points: { show: false }, spanGaps: false }]
    }, [[], []], this.#chart)
    new ResizeObserver(() => { this.#plot.setSize(this.#size()) }).observe(this.#chart)
  }

  draw (samples: readonly Sample[], from: number, end: number): void {
    const { field, show } = this.#field
    this.#from = from
    this.#end = end
    const values = samples.map((sample) => sample[field])
    const known = values.filter((value) => value !== null)
    say(this.#now, known.length === 0 ? '–' : show(values.at(-1) ?? known.at(-1)!))
    say(this.#span, known.length === 0 ? ' ' : `${show(Math.min(...known))} to ${show(Math.max(...known))}`)
    this.#plot.setData([samples.map(({ at }) => at), values])
  }

  restyle (): void {
    this.#plot.redraw(false, true)
  }

  #size (): { width: number, height: number } {
    return { width: Math.max(80, this.#chart.clientWidth), height: Math.max(60, this.#chart.clientHeight) }
  }

  /** Times of the labels, counted back from the end, so that they stand still. */
  #times (): number[] {
    const lengthMs = this.#end - this.#from
    const mostLabels = Math.max(1, Math.floor(this.#chart.clientWidth / 70))
    const everyMs = [minuteMs / 2, minuteMs, 2 * minuteMs].find((step) => lengthMs / step <= mostLabels) ?? 2 * minuteMs
    const times: number[] = []
    for (let at = this.#end - everyMs; at >= this.#from + everyMs / 4; at -= everyMs) times.unshift(at)
    return times
  }

  #ago (at: number): string {
    const ms = this.#end - at
    return ms < minuteMs ? `−${Math.round(ms / 1_000)} s` : `−${Math.round(ms / minuteMs * 10) / 10} min`
  }
}

/** A round number that is not more than `most`, and not less than its half. */
function roundBelow (most: number, base: number): number {
  const unit = base ** Math.max(0, Math.floor(Math.log(most) / Math.log(base)))
  const power = unit * 10 ** Math.floor(Math.log10(most / unit))
  return [5, 2, 1].map((factor) => factor * power).find((value) => value <= most) ?? most
}
