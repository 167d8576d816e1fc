import { stripOf } from './elements.js'
import { bytes, count, duration, memory, short } from './format.js'

const percent = (value) => `${Math.round(value)} %`
const rate = (value) => `${bytes(Math.abs(value)).join(' ')}/s`
const inMemory = (value) => memory(value).join(' ')
const late = (value) => `${short(value)} ms`

/** The described lines of each strip: name, column of the buffer, format of a value. */
const lines = {
  line: [['', 0, (value) => `${count(value)} a second`]],
  cpu: [['', 0, percent]],
  memory: [['', 0, inMemory]],
  network: [['received', 0, rate], ['sent', 1, rate], ['over loopback', 2, rate]],
  disk: [['read', 0, rate], ['written', 1, rate]],
  loop: [['median', 0, late], ['99th percentile', 1, late]]
}

const stretchWords = { lost: 'line away', paused: 'paused', slowed: 'not read', off: 'switched off' }

/**
 * Describes each chart in words, for people who do not see it.
 *
 * @param {import('./recorder.js').Recorder} recorder
 */
export function describeCharts (recorder) {
  for (const [name, told] of Object.entries(lines)) {
    const plot = stripOf(name).querySelector('.plot')
    plot.dataset.title ??= plot.getAttribute('aria-label')
    const sentences = [`${plot.dataset.title}.`]
    for (const [what, column, write] of told) {
      const extent = recorder.extent(name, column)
      if (extent === null) continue
      // Outgoing bytes are drawn below the line.
      const [low, high, newest] = extent.map(Math.abs)
      sentences.push(`${what === '' ? '' : `${what}: `}now ${write(newest)}, least ${write(Math.min(low, high))}, most ${write(Math.max(low, high))}.`)
    }
    for (const { kind, what = '', ms } of recorder.stretchesOf(name)) sentences.push(`${`${what} ${stretchWords[kind]}`.trim()} for ${duration(ms)}.`)
    const label = sentences.map((sentence) => sentence[0].toUpperCase() + sentence.slice(1)).join(' ')
    if (plot.getAttribute('aria-label') !== label) plot.setAttribute('aria-label', label)
  }
}
