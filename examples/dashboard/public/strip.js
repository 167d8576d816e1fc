import { palette } from './palette.js'
import { clock, duration } from './format.js'

// Its minified form is no module.
export const { uPlot } = globalThis

export const windowMs = 60_000
const scaleWidth = 70
const rulerHeight = 26

/**
 * What all strips share, as on one sheet of recorder paper: where the sheet ends,
 * the stretches that are hatched because the line was away, held or not read, and the
 * time that the pointer is at.
 *
 * @typedef {{ from: number, to: number | null, kind: 'lost' | 'paused' | 'slowed' | 'off', what?: string, more?: string }} Stretch
 *
 * @typedef {object} Sheet
 * @property {() => number} end
 * @property {() => number} now later than the end while the sheet is held
 * @property {Stretch[]} stretches
 * @property {(t: number | null) => void} hover
 */

/**
 * One pen line or more on the sheet.
 *
 * @typedef {object} StripOptions
 * @property {import('./series-buffer.js').SeriesBuffer} buffer
 * @property {Sheet} sheet
 * @property {object[]} lines uPlot series, one for each column of the buffer
 * @property {object[]} [bands]
 * @property {(low: number, high: number) => [number, number]} range
 * @property {(value: number) => string} label
 * @property {boolean} [ruler] shows the clock under the plot
 * @property {number[]} [tips] lines that end in a pen
 * @property {boolean} [stretchLabels] labels the stretches of the sheet
 * @property {Stretch[]} [offStretches] in which a line of this strip was switched off
 */
export class Strip {
  #options
  #plot
  #element
  /** @type {[number, number]} */
  #range = [0, 1]
  /** @type {[number, number]} */
  #goal = [0, 1]
  #visible = true
  #lines
  #easedAt = 0

  /**
   * @param {HTMLElement} element
   * @param {StripOptions} options
   */
  constructor (element, options) {
    this.#options = options
    this.#element = element
    const { lines, bands = [], label, ruler = false, stretchLabels = false, sheet } = options
    this.#lines = lines
    this.#plot = new uPlot({ // eslint-disable-line new-cap -- the library's own name
      ...this.#size(),
      padding: [10, 0, ruler ? 0 : 10, 0],
      legend: { show: false },
      ms: 1,
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: false, y: false },
        sync: { key: 'recorder' }
      },
      scales: {
        x: { time: false, range: () => [sheet.end() - windowMs, sheet.end()] },
        y: { range: (plot, low, high) => this.#eased(low, high) }
      },
      axes: [
        {
          size: ruler ? rulerHeight : 0,
          gap: 4,
          font: palette.font,
          stroke: () => palette.inkSoft,
          grid: { stroke: () => palette.grid, width: 1 },
          ticks: { show: ruler, size: 5, width: 1, stroke: () => palette.gridStrong },
          splits: (plot, index, low, high) => stepsBetween(low, high, plot.width < 480 ? 20_000 : 10_000),
          // A label that the edge of the paper would cut is left out.
          values: (plot, splits) => splits.map((t) => ruler && (t - plot.scales.x.min) / windowMs * plot.width > 32 ? clock(t) : '')
        },
        {
          side: 1,
          size: scaleWidth,
          gap: 6,
          font: palette.font,
          stroke: () => palette.inkSoft,
          grid: { stroke: () => palette.grid, width: 1 },
          ticks: { show: false },
          splits: (plot, index, low, high) => this.#splits(low, high),
          values: (plot, splits) => splits.map(label)
        }
      ],
      series: [{}, ...lines.map((line) => ({ points: { show: false }, gaps: holesOnly, ...line }))],
      bands,
      hooks: {
        drawClear: [(plot) => {
          this.#drawPaper(plot)
          this.#drawStretches(plot)
        }],
        draw: [(plot) => {
          this.#drawTips(plot)
          this.#drawStretchLabels(plot, stretchLabels ? sheet.stretches : [])
        }],
        setCursor: [(plot) => {
          // Only the strip under the pointer speaks; the others follow.
          if (!plot.root.matches(':hover')) return
          const { left } = plot.cursor
          sheet.hover(left === undefined || left < 0 ? null : plot.posToVal(left, 'x'))
        }]
      }
    }, options.buffer.columns, element)
    this.restyle()
    element.addEventListener('pointerleave', () => sheet.hover(null))

    new ResizeObserver(() => this.#plot.setSize(this.#size())).observe(element)
    new IntersectionObserver((entries) => {
      this.#visible = entries.at(-1).isIntersecting
      this.#easedAt = -Infinity
      this.draw()
    }, { rootMargin: '160px' }).observe(element)
  }

  draw () {
    if (this.#visible) this.#plot.setData(this.#options.buffer.columns)
  }

  /** Applies the parts of a theme that are not colours. */
  restyle () {
    for (const [index, { dash, plainDash }] of this.#lines.entries()) this.#plot.series[index + 1].dash = palette.isPlain ? plainDash ?? dash : dash
  }

  /**
   * @param {number} line
   * @param {boolean} show
   */
  show (line, show) {
    this.#plot.setSeries(line + 1, { show })
  }

  #size () {
    return { width: Math.max(120, this.#element.clientWidth), height: Math.max(40, this.#element.clientHeight) }
  }

  // A scale that jumps makes a calm line look restless.
  #eased (low, high) {
    const [bottom, top] = this.#options.range(low ?? 0, high ?? 0)
    this.#goal = [bottom, top]
    const now = performance.now()
    const share = now - this.#easedAt > 500 ? 1 : 0.25
    this.#easedAt = now
    const ease = (from, to) => Math.abs(to - from) < Math.abs(to) * 0.01 ? to : from + (to - from) * share
    this.#range = [ease(this.#range[0], bottom), ease(this.#range[1], top)]
    return this.#range
  }

  // Round numbers only, also while the scale is on its way to them.
  #splits (low, high) {
    const [bottom, top] = this.#goal
    const slack = (high - low) / 100
    return [bottom, bottom < 0 ? 0 : (bottom + top) / 2, top].filter((value) => value >= low - slack && value <= high + slack)
  }

  // The fine ruling moves with time, as paper does under a pen.
  #drawPaper (plot) {
    const { ctx: context, bbox } = plot
    const end = this.#options.sheet.end()
    context.save()
    context.fillStyle = palette.grid
    context.globalAlpha = 0.5
    for (const t of stepsBetween(end - windowMs, end, 2000)) {
      context.fillRect(Math.round(plot.valToPos(t, 'x', true)), bbox.top, 1, bbox.height)
    }
    context.restore()
  }

  #drawStretches (plot) {
    const { ctx: context, bbox } = plot
    const { sheet, offStretches = [] } = this.#options
    for (const { from, to, kind } of [...sheet.stretches, ...offStretches]) {
      const left = Math.max(bbox.left, plot.valToPos(from, 'x', true))
      const right = Math.min(bbox.left + bbox.width, plot.valToPos(to ?? sheet.end(), 'x', true))
      if (right <= left) continue
      context.save()
      context.fillStyle = palette.hatch[kind]
      context.fillRect(left, bbox.top, right - left, bbox.height)
      context.fillStyle = palette.stretch[kind]
      context.fillRect(left, bbox.top, devicePixelRatio, bbox.height)
      context.restore()
    }
  }

  #drawStretchLabels (plot, stretches) {
    const { ctx: context, bbox } = plot
    const { sheet, offStretches = [] } = this.#options
    const pixels = devicePixelRatio
    const pad = 4 * pixels
    const lineHeight = 17 * pixels
    /** How far to the right each line of labels is taken. */
    const taken = []
    context.save()
    context.font = palette.font.replace('11px', `600 ${11 * pixels}px`)
    for (const stretch of [...stretches, ...offStretches]) {
      const { from, to, kind } = stretch
      const end = to ?? sheet.now()
      // Its end has left the paper already.
      if (plot.valToPos(end, 'x', true) < bbox.left + pad) continue
      const text = stretchInWords(stretch, end)
      const { width } = context.measureText(text)
      const x = Math.max(bbox.left + pad, Math.min(plot.valToPos(from, 'x', true) + 2 * pad, bbox.left + bbox.width - width - pad))
      let row = taken.findIndex((right) => right < x - pad)
      if (row === -1) row = taken.length
      taken[row] = x + width + pad
      const top = bbox.top + row * lineHeight
      context.fillStyle = palette.paper
      context.fillRect(x - pad, top, width + 2 * pad, lineHeight)
      context.fillStyle = palette.stretch[kind]
      context.fillText(text, x, top + 12 * pixels)
    }
    context.restore()
  }

  #drawTips (plot) {
    const { buffer, tips = [] } = this.#options
    const { ctx: context, bbox } = plot
    const [times] = buffer.columns
    const row = times.length - 1
    if (row < 0) return
    let above = -Infinity
    context.save()
    for (const line of tips) {
      const value = buffer.columns[line + 1][row] ?? buffer.columns[line + 1][row - 1]
      if (value == null || !plot.series[line + 1].show) continue
      const x = plot.valToPos(times[row], 'x', true)
      const y = plot.valToPos(value, 'y', true)
      // Two pens at one place are drawn as one.
      if (x < bbox.left || Math.abs(y - above) < 6 * devicePixelRatio) continue
      above = y
      context.beginPath()
      context.arc(x, y, 3 * devicePixelRatio, 0, Math.PI * 2)
      context.fillStyle = palette.pen
      context.fill()
      context.lineWidth = 1.5 * devicePixelRatio
      context.strokeStyle = palette.paper
      context.stroke()
    }
    context.restore()
  }
}

/**
 * The next round number: 1, 2, 5 and their tens.
 *
 * @param {number} value
 */
export function roundUp (value) {
  const power = 10 ** Math.floor(Math.log10(value))
  const head = value / power
  return (head <= 1 ? 1 : head <= 2 ? 2 : head <= 5 ? 5 : 10) * power
}

const stretchWords = { lost: 'away', paused: 'paused', slowed: 'not read', off: 'off' }
const ofSeveral = { cpu: 'processor', cores: 'cores' }

/** @param {Stretch} stretch */
function stretchInWords ({ from, kind, what, more = '' }, end) {
  const lasted = end > from ? ` ${duration(end - from)}` : ''
  return `${ofSeveral[what] ?? ''} ${stretchWords[kind]}${lasted}${more}`.trim()
}

function stepsBetween (low, high, step) {
  const steps = []
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) steps.push(value)
  return steps
}

// Rows that one sort of figure lacks are bridged; time without figures is not.
function holesOnly (plot, index, from, to, gaps) {
  const least = plot.bbox.width * 2500 / windowMs
  return gaps.filter(([left, right]) => right - left >= least)
}
