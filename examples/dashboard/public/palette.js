const root = document.documentElement

/** The colours and the font of the theme, for canvases; the stylesheet is their one home. */
export const palette = {
  pen: '',
  penSoft: '',
  penFaint: '',
  paper: '',
  grid: '',
  gridStrong: '',
  inkSoft: '',
  hold: '',
  lost: '',
  font: '',
  /** @type {string[]} */
  cores: [],
  /** @type {Record<string, CanvasPattern | string>} */
  hatch: {},
  /** By kind of stretch. @type {Record<string, string>} */
  stretch: {},
  /** Whether the user's own few colours are all there are. */
  isPlain: false
}

const plain = matchMedia('(forced-colors: active)')

function read () {
  // A canvas does not resolve the user's system colours; an element does.
  const probe = document.createElement('span')
  probe.style.forcedColorAdjust = 'none'
  root.append(probe)
  const colour = (name) => {
    probe.style.color = `var(${name})`
    return getComputedStyle(probe).color
  }
  palette.isPlain = plain.matches
  palette.pen = colour('--pen')
  palette.penSoft = colour('--pen-soft')
  palette.penFaint = colour('--pen-faint')
  palette.paper = colour('--paper')
  palette.grid = colour('--grid')
  palette.gridStrong = colour('--grid-strong')
  palette.inkSoft = colour('--ink-soft')
  palette.hold = colour('--hold')
  palette.lost = colour('--lost')
  palette.cores = [1, 2, 3, 4, 5, 6].map((number) => colour(`--core-${number}`))
  palette.font = `11px ${getComputedStyle(document.body ?? root).fontFamily}`
  palette.stretch = { lost: palette.lost, paused: palette.hold, slowed: colour('--slow'), off: palette.inkSoft }
  palette.hatch = Object.fromEntries(Object.entries(palette.stretch).map(([kind, shade]) => [kind, hatch(shade)]))
  probe.remove()
}

function hatch (colour) {
  const size = 8 * Math.ceil(devicePixelRatio)
  const tile = document.createElement('canvas')
  tile.width = tile.height = size
  const context = tile.getContext('2d')
  context.strokeStyle = colour
  context.globalAlpha = 0.42
  context.lineWidth = Math.max(1, devicePixelRatio)
  context.beginPath()
  for (const shift of [-size, 0, size]) {
    context.moveTo(shift - 1, size + 1)
    context.lineTo(shift + size + 1, -1)
  }
  context.stroke()
  return context.createPattern(tile, 'repeat') ?? colour
}

read()
root.addEventListener('themechange', read)
