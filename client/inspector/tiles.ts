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

  set (samples: readonly Sample[]): void {
    this.#samples = [...samples]
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
    for (const tile of this.#tiles) tile.draw(this.#samples, last.at)
  }
}

class Tile {
  readonly #field: typeof fields[number]
  readonly #now = make('p', 'now', '–')
  readonly #span = make('p', 'span', ' ')
  readonly #chart = make('div', 'chart')
  readonly #plot: UPlot
  #end = Date.now()

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
        x: { time: true, range: () => [this.#end - keptMs, this.#end] },
        y: { range: (_plot, _low, high) => [0, Math.max(1, (high ?? 0) * 1.15)] }
      },
      axes: [
        { size: 22, gap: 3, font, stroke: soft, grid: { show: false }, ticks: { show: false }, splits: () => this.#minutes(), values: (_plot, splits) => splits.map(clock) },
        { size: field.field === 'bufferedBytes' ? 58 : 40, gap: 4, font, stroke: soft, grid: { stroke: grid, width: 1 }, ticks: { show: false }, splits: (plot) => halves(plot.scales.y!.max ?? 1), values: (_plot, splits) => splits.map((value) => field.axis(value)) }
      ],
      series: [{}, { stroke: ink, width: 1.75, points: { show: false }, spanGaps: false }]
    }, [[], []], this.#chart)
    new ResizeObserver(() => { this.#plot.setSize(this.#size()) }).observe(this.#chart)
  }

  draw (samples: readonly Sample[], end: number): void {
    const { field, show } = this.#field
    this.#end = end
    const values = samples.map((sample) => sample[field])
    const known = values.filter((value) => value !== null)
    say(this.#now, known.length === 0 ? '–' : show(values.at(-1) ?? known.at(-1)!))
    say(this.#span, known.length === 0 ? ' ' : `least ${show(Math.min(...known))}, most ${show(Math.max(...known))}`)
    this.#plot.setData([samples.map(({ at }) => at), values])
  }

  restyle (): void {
    this.#plot.redraw(false, true)
  }

  #size (): { width: number, height: number } {
    return { width: Math.max(80, this.#chart.clientWidth), height: Math.max(60, this.#chart.clientHeight) }
  }

  /** Whole minutes that fit beside each other. */
  #minutes (): number[] {
    const every = this.#chart.clientWidth < 200 ? 120_000 : 60_000
    const splits: number[] = []
    for (let at = Math.ceil((this.#end - keptMs) / every) * every; at < this.#end; at += every) splits.push(at)
    return splits
  }
}

function clock (at: number): string {
  const date = new Date(at)
  return `${String(date.getHours()).padStart(2, '0')}:${String(date.getMinutes()).padStart(2, '0')}`
}

/** Nothing, and a round number that is at least half of the height. */
function halves (most: number): number[] {
  const power = 10 ** Math.floor(Math.log10(most))
  const step = [5, 2, 1].map((factor) => factor * power).find((value) => value <= most) ?? most
  return [0, step]
}
