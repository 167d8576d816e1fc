import { element, write } from './elements.js'
import { count, duration } from './format.js'
import { faultOf } from './faults.js'
import { verdictInWords } from './session-panel.js'

const askEveryMs = 250

const idle = 'Slow: this page reads nothing of its stream until you press again. Cut: the server destroys the stream, and lets this tab back in after 3 seconds.'

/**
 * Lets a person disturb the connection as networks do, and reports the effect.
 *
 * Dispatches `figures` with the server's figures of this session while the page
 * reads nothing, and `told` with texts for screen readers.
 */
export class Trial extends EventTarget {
  #live
  #line
  #reader
  #recorder
  #isCut = false
  /** What the last trial came to. */
  #outcome = idle
  /** What the server says while the stream stands still; null when it cannot be reached. */
  #figures = /** @type {Record<string, any> | null} */ ({})
  #before = { conflated: 0, stalledMs: 0 }
  #conflated = 0
  /** Count of the updates after the page reads again; null at any other time. */
  #caught = /** @type {{ updates: number, missing: number, from: number } | null} */ (null)
  #missing = () => 0

  /**
   * @param {object} parts
   * @param {import('fastify-tether/client').Connection} parts.live
   * @param {import('./line.js').Line} parts.line
   * @param {import('./reader.js').Reader} parts.reader
   * @param {import('./recorder.js').Recorder} parts.recorder
   * @param {() => number} parts.missing how many updates this page has missed in all
   */
  constructor ({ live, line, reader, recorder, missing }) {
    super()
    this.#live = live
    this.#line = line
    this.#reader = reader
    this.#recorder = recorder
    this.#missing = missing
    this.#on('slow', () => reader.isSlow ? this.#goOn() : this.#slow())
    this.#on('cut', () => this.#cut())
    setInterval(() => this.#ask(), askEveryMs)
  }

  /** An update came. */
  count (name) {
    if (this.#caught !== null && name !== 'padding') this.#caught.updates++
  }

  /** The line is there again. */
  greet ({ verdict, awayMs }) {
    const wasSlow = this.#caught !== null
    this.#caught = null
    if (awayMs === 0) return
    const wasCut = this.#isCut
    this.#isCut = false
    if (wasCut) this.#outcome = `Cut, and back after ${duration(awayMs)}: ${verdictInWords(verdict)}.`
    else this.#outcome = wasSlow ? `The stream was lost while nothing was read, and is back: ${verdictInWords(verdict)}.` : idle
  }

  /** What the server had put by while the line was away has come, `updates` of them. */
  replayed (updates) {
    if (this.#outcome === idle) return
    const replayed = updates === 0 ? 'Nothing had to be' : updates === 1 ? '1 update was' : `${count(updates)} updates were`
    this.#tell(`${this.#outcome} ${replayed} replayed${this.#missing() === 0 && this.#outcome.startsWith('Cut') ? '; the charts have no hole' : ''}.`)
  }

  show () {
    const { isSlow } = this.#reader
    const isLive = this.#line.state === 'live'
    element('slow').setAttribute('aria-pressed', String(isSlow))
    element('slow').setAttribute('aria-disabled', String(!isLive && !isSlow))
    element('cut').setAttribute('aria-disabled', String(!isLive || isSlow))
    write(element('trial-status'), isSlow ? this.#slowInWords() : this.#isCut ? this.#cutInWords() : this.#outcome)
  }

  #on (id, act) {
    element(id).addEventListener('click', () => {
      if (element(id).getAttribute('aria-disabled') === 'true') return
      act()
      this.show()
    })
  }

  #slow () {
    this.#figures = {}
    this.#before = { conflated: NaN, stalledMs: NaN }
    this.#live.emit('slow.begin', {}).catch(() => {})
    this.#reader.stop()
    this.#ask()
  }

  async #goOn () {
    const caught = this.#caught = { updates: 0, missing: this.#missing(), from: performance.now() }
    this.#conflated = this.#since('conflated')
    this.#outcome = 'Reading again.'
    // All updates that waited come before the reply.
    const reply = this.#live.request('slow.end')
    this.#reader.goOn()
    const figures = await reply.catch(() => null)
    if (figures === null || this.#caught !== caught) return
    this.dispatchEvent(new CustomEvent('figures', { detail: figures }))
    this.#caughtUp(caught)
  }

  #caughtUp ({ updates, missing, from }) {
    this.#caught = null
    const lost = this.#missing() - missing
    this.#tell(`Caught up in ${duration(performance.now() - from)} with ${count(updates)} updates; ${count(this.#conflated)} older ones had been replaced by newer. Missing: ${lost === 0 ? 'none' : count(lost)}.`)
  }

  #cut () {
    this.#isCut = true
    this.#live.emit('line.cut', {}).catch((error) => {
      this.#isCut = false
      this.#tell(`Not cut. ${faultOf(error)}`)
    })
  }

  async #ask () {
    if (!this.#reader.isSlow) return
    try {
      const answer = await fetch('/figures', { headers: { 'x-tether-session': this.#live.session ?? '' }, signal: AbortSignal.timeout(2000) })
      const figures = answer.ok ? await answer.json() : null
      if (!this.#reader.isSlow) return
      this.#figures = figures
    } catch {
      this.#figures = null
    }
    if (this.#figures === null) return
    if (Number.isNaN(this.#before.conflated)) this.#before = { conflated: this.#figures.conflated, stalledMs: this.#figures.stalledMs }
    this.dispatchEvent(new CustomEvent('figures', { detail: this.#figures }))
  }

  #since (name) {
    return Math.max(0, (this.#figures?.[name] ?? 0) - (this.#before[name] || 0))
  }

  #slowInWords () {
    const { slowSince } = this.#reader
    const sentences = [`Nothing read for ${duration(Date.now() - slowSince)}.`]
    const { connected, queued, stalled } = this.#figures ?? {}
    if (this.#figures === null) sentences.push('The server does not answer, or has ended the session.')
    else if (connected === false) sentences.push('The stream has ended at the server: a reader that takes nothing for 30 s loses it. The session is kept for another 30 s. Press again to come back.')
    else if (stalled) {
      sentences.push(`The server is blocked, for ${duration(this.#since('stalledMs'))}: ${count(queued)} updates wait, ${count(this.#since('conflated'))} older ones were replaced by newer (conflated).`)
    } else sentences.push('The buffers between here and the server are filling.')
    const age = this.#recorder.ageMs
    if (age !== null) sentences.push(`The newest figure here is ${duration(age)} old.`)
    return sentences.join(' ')
  }

  #cutInWords () {
    if (this.#line.state === 'live') return 'The server is about to destroy the stream.'
    const next = this.#live.state === 'waiting' ? 'The page waits before the next try.' : 'The page is trying again.'
    return `Line away for ${duration(Date.now() - this.#line.since)}. ${next} The server keeps what this tab misses.`
  }

  #tell (text) {
    this.#outcome = text
    this.show()
    this.dispatchEvent(new CustomEvent('told', { detail: text }))
  }
}
