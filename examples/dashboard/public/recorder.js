import { stripOf } from './elements.js'
import { bytes, count, memory } from './format.js'
import { FrameCounter } from './frame-counter.js'
import { palette } from './palette.js'
import { SeriesBuffer } from './series-buffer.js'
import { Strip, roundUp, uPlot, windowMs } from './strip.js'

const drawEveryMs = 60
const stillDrawEveryMs = 1000

const pen = () => palette.pen
const penSoft = () => palette.penSoft
const penFaint = () => palette.penFaint
const coreColour = (core) => () => palette.cores[core % palette.cores.length]
const line = (stroke, more = {}) => ({ stroke, width: 1.75, ...more })
const rateLabel = (value) => `${bytes(Math.abs(value)).join(' ')}/s`

// Dashes of the lines, for displays without colours.
const coreDashes = [[], [6, 3], [2, 2], [10, 3, 2, 3], [12, 4], [4, 6]]

/** The series that are drawn, and the strip that each is on. */
const stripsOfSeries = { cpu: 'cpu', cores: 'cpu', memory: 'memory', network: 'network', disk: 'disk', loop: 'loop' }

/**
 * The sheet of paper with all strips: its time, the drawn figures, the stretches
 * without a connection or on hold, and the drawing itself.
 */
export class Recorder {
  /** Frames that came down the line. */
  frames = new FrameCounter(() => this.now)

  /** @type {Map<string, SeriesBuffer>} */
  #buffers = new Map()
  /** @type {Map<string, Strip>} */
  #strips = new Map()
  /** @type {import('./strip.js').Stretch[]} */
  #stretches = []
  /** By strip, the stretches in which a series of it was switched off. @type {Map<string, import('./strip.js').Stretch[]>} */
  #offStretches = new Map(Object.values(stripsOfSeries).map((name) => [name, []]))
  #clockOffset = 0
  #isClockKnown = false
  /** @type {number | null} */
  #heldAt = null
  /** @type {number | null} */
  #hoveredAt = null
  #calm = matchMedia('(prefers-reduced-motion: reduce)')
  #drawnAt = 0
  #framedAt = 0
  #drawingCostMs = 0
  #sheet

  constructor () {
    this.#sheet = {
      stretches: this.#stretches,
      end: () => this.#end,
      now: () => this.now,
      hover: (t) => {
        this.#hoveredAt = t
        document.documentElement.classList.toggle('hovering', t !== null)
      }
    }
    this.#draw('line', {
      buffer: this.frames.buffer,
      ruler: true,
      stretchLabels: true,
      lines: [line(penSoft, { fill: penSoft, width: 0, paths: uPlot.paths.bars({ size: [0.72, 40], align: 1 }), gaps: undefined })],
      range: (low, high) => [0, roundUp(Math.max(10, high))],
      label: (value) => `${count(value)} /s`
    })
    document.documentElement.addEventListener('themechange', () => {
      for (const strip of this.#strips.values()) strip.restyle()
      this.#drawAll()
    })
    setInterval(() => this.#tidy(), 1000)
    const frame = (time) => {
      requestAnimationFrame(frame)
      this.#frame(time)
    }
    requestAnimationFrame(frame)
  }

  /** The server's clock, as far as this page can know it: figures carry its time. */
  get now () {
    return Date.now() - this.#clockOffset
  }

  /** Makes the strips that a machine needs. */
  furnish ({ cores, memoryBytes }) {
    this.#draw('cpu', {
      buffer: new SeriesBuffer(1 + cores),
      lines: [
        line(pen, { fill: penFaint, width: 2 }),
        ...Array.from({ length: cores }, (_, core) => line(coreColour(core), { width: 1.25, plainDash: coreDashes[core % coreDashes.length] }))
      ],
      tips: [0],
      range: () => [0, 100],
      label: (value) => `${Math.round(value)} %`
    })
    this.#draw('memory', {
      buffer: new SeriesBuffer(1),
      lines: [line(pen, { fill: penFaint })],
      tips: [0],
      range: (low, high) => [0, Math.min(memoryBytes, 2 ** Math.ceil(Math.log2(Math.max(2 ** 20, high * 1.25))))],
      label: (value) => memory(value).join(' ')
    })
    this.#draw('network', {
      buffer: new SeriesBuffer(3),
      lines: [line(pen, { fill: penFaint }), line(pen, { fill: penFaint }), line(() => palette.inkSoft, { width: 1, dash: [3, 3] })],
      tips: [0, 1],
      range: mirrored(1000),
      label: rateLabel
    })
    this.#draw('disk', {
      buffer: new SeriesBuffer(2),
      lines: [line(pen, { fill: penFaint }), line(pen, { fill: penFaint })],
      tips: [0, 1],
      range: mirrored(100_000),
      label: rateLabel
    })
    this.#draw('loop', {
      buffer: new SeriesBuffer(2),
      lines: [line(pen), line(penSoft, { width: 1 })],
      bands: [{ series: [2, 1], fill: penFaint }],
      tips: [0],
      range: (low, high) => [0, roundUp(Math.max(2, high))],
      label: (value) => `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} ms`
    })
    // These are shown as numbers only.
    for (const name of ['utilisation', 'load', 'heap', 'plugin']) this.#buffers.set(name, new SeriesBuffer(3))
  }

  /** Adds a figure that was just measured, which also gives the server's time. */
  sample (series, t, v) {
    const offset = Date.now() - t
    // The figure that travelled fastest has the best time.
    if (!this.#isClockKnown || offset < this.#clockOffset) this.#clockOffset = offset
    this.#isClockKnown = true
    this.add(series, t, v)
  }

  /** A figure from whenever. */
  add (series, t, v) {
    const into = (name, values, offset) => this.#buffers.get(name)?.add(t, values, offset)
    if (series === 'cores') into('cpu', v, 1)
    else if (series === 'memory') into('memory', v.slice(0, 1))
    else if (series === 'network') into('network', [v[0], -v[1], v[2]])
    else if (series === 'disk') into('disk', [v[0], -v[1]])
    else if (series === 'loop') {
      into('loop', v.slice(0, 2))
      into('utilisation', v.slice(2))
    } else into(series, v)
  }

  /** The figures that the pointer is at, else the newest; null if there are none. */
  at (name) {
    return this.#buffers.get(name)?.at(this.#hoveredAt ?? undefined) ?? null
  }

  /**
   * Least, most and newest figure in a column of a strip that the sheet shows; null if there is none.
   *
   * @param {string} name
   * @param {number} column
   */
  extent (name, column) {
    return this.#buffers.get(name)?.extent(column, this.#end - windowMs) ?? null
  }

  /** How old the newest sample is, in milliseconds; null if there is none. */
  get ageMs () {
    const newest = Math.max(...Object.values(stripsOfSeries).map((name) => this.#buffers.get(name)?.lastT ?? -Infinity))
    return newest === -Infinity ? null : Math.max(0, this.now - newest)
  }

  /** The stretches of a strip that the sheet shows. */
  stretchesOf (name) {
    return [...this.#stretches, ...this.#offStretches.get(name) ?? []]
      .filter(({ to }) => to === null || to > this.#end - windowMs)
      .map(({ kind, what, from, to }) => ({ kind, what, ms: (to ?? this.now) - from }))
  }

  /** Another server may have another clock. */
  forgetClock () {
    this.#isClockKnown = false
  }

  /** Stops the paper, or lets it go. */
  hold (held) {
    if (held === (this.#heldAt !== null)) return
    if (held) this.begin('paused')
    else this.finish('paused')
    this.#heldAt = held ? this.now : null
    this.#drawAll()
  }

  /** @param {'lost' | 'paused' | 'slowed'} kind */
  begin (kind) {
    if (!this.#stretches.some((stretch) => stretch.kind === kind && stretch.to === null)) this.#stretches.push({ from: this.now, to: null, kind })
  }

  /** @param {'lost' | 'paused' | 'slowed'} kind */
  finish (kind) {
    for (const stretch of this.#stretches) if (stretch.kind === kind) stretch.to ??= this.now
  }

  /** Adds to the text of the newest stretch of a kind. */
  label (kind, more) {
    const stretch = this.#stretches.findLast((stretch) => stretch.kind === kind)
    if (stretch !== undefined) stretch.more = more
  }

  /**
   * Sets the series that come from now on. A line that is switched on again has a labelled hole.
   *
   * @param {string[]} series
   */
  pick (series) {
    for (const [one, name] of Object.entries(stripsOfSeries)) {
      const stretches = this.#offStretches.get(name)
      const open = stretches.find(({ what, to }) => what === one && to === null)
      if (!series.includes(one)) {
        if (open === undefined) stretches.push({ from: this.now, to: null, kind: 'off', what: one })
      } else if (open !== undefined) {
        open.to = this.now
      }
    }
  }

  /**
   * @param {string} name of a strip
   * @param {number} index of one of its lines
   * @param {boolean} show
   */
  showLine (name, index, show) {
    this.#strips.get(name)?.show(index, show)
  }

  get #end () {
    return this.#heldAt ?? this.now
  }

  #draw (name, options) {
    this.#buffers.set(name, options.buffer)
    this.#strips.set(name, new Strip(stripOf(name).querySelector('.plot'), { sheet: this.#sheet, offStretches: this.#offStretches.get(name), ...options }))
  }

  #drawAll () {
    for (const strip of this.#strips.values()) strip.draw()
  }

  #frame (time) {
    // The delay of the next frame shows the real cost of drawing, since the
    // browser paints after the script is done.
    if (this.#framedAt === this.#drawnAt) this.#drawingCostMs += (Math.min(200, time - this.#framedAt) - this.#drawingCostMs) * 0.1
    this.#framedAt = time
    // The paper moves some 12 pixels a second. Nobody sees more drawings than this,
    // and on a slow machine drawing must leave time for the rest.
    const still = this.#calm.matches || this.#heldAt !== null
    if (time - this.#drawnAt < (still ? stillDrawEveryMs : Math.max(drawEveryMs, this.#drawingCostMs * 2))) return
    this.#drawnAt = time
    this.#drawAll()
  }

  #tidy () {
    const from = this.#end - windowMs - 5000
    for (const buffer of this.#buffers.values()) buffer.trim(from)
    for (const stretches of [this.#stretches, ...this.#offStretches.values()]) {
      while (stretches.length > 0 && stretches[0].to !== null && stretches[0].to < from) stretches.shift()
    }
  }
}

/** A scale for traffic in two directions: neither side is squeezed to nothing. */
function mirrored (least) {
  return (low, high) => {
    const top = roundUp(Math.max(least, high))
    const bottom = roundUp(Math.max(least, -low))
    return [-Math.max(bottom, top / 2), Math.max(top, bottom / 2)]
  }
}
