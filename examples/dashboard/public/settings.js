import { faultOf, isInDoubt } from './sender.js'

const key = 'tether-settings'
const slideMs = 120

/**
 * @typedef {object} Chosen
 * @property {number} perSecond
 * @property {string[]} series
 * @property {boolean} paused
 */

/**
 * The settings of this tab. The server's values count, with two exceptions: values that the user
 * has just changed, and a new session. A new session begins with defaults and gets the tab's earlier
 * values. They are kept for as long as the tab is open, also over reloads.
 *
 * Dispatches `change`, and `fault` with a message when the server refuses one.
 */
export class Settings extends EventTarget {
  /** @type {Chosen | null} */
  chosen = load()

  /** @type {Chosen | null} */
  #told = null
  #sender
  #isRestoring = false
  #slideTimer = 0

  /** @param {import('./sender.js').Sender} sender */
  constructor (sender) {
    super()
    this.#sender = sender
  }

  /** A session begins that knows nothing of this tab. */
  restore () {
    this.#isRestoring = this.chosen !== null
  }

  /** @param {Chosen} told this tab's settings as the server has them */
  adopt (told) {
    const { chosen } = this
    this.#told = told
    if (this.#isRestoring && chosen !== null) {
      this.#isRestoring = false
      if (chosen.perSecond !== told.perSecond) this.#set('rate.set', { perSecond: chosen.perSecond })
      if (String([...chosen.series].sort()) !== String([...told.series].sort())) this.#set('series.set', { series: chosen.series })
      if (chosen.paused !== told.paused) this.#setPaused(chosen.paused)
    } else {
      const mine = chosen ?? told
      this.chosen = {
        perSecond: this.#slideTimer !== 0 || this.#sender.holds('rate.set') ? mine.perSecond : told.perSecond,
        series: this.#sender.holds('series.set') ? mine.series : told.series,
        paused: this.#sender.holds('pause', 'resume') ? mine.paused : told.paused
      }
    }
    this.#changed()
  }

  /** @param {number} perSecond of a slider that may still be moving */
  slide (perSecond) {
    if (this.chosen === null) return
    this.chosen.perSecond = perSecond
    clearTimeout(this.#slideTimer)
    this.#slideTimer = setTimeout(() => {
      this.#slideTimer = 0
      this.#set('rate.set', { perSecond })
    }, slideMs)
    this.#changed()
  }

  /** @param {string[]} series */
  pick (series) {
    if (this.chosen === null) return
    this.chosen.series = series
    this.#set('series.set', { series })
    this.#changed()
  }

  /** @param {boolean} paused */
  pause (paused) {
    if (this.chosen === null) return
    this.chosen.paused = paused
    this.#setPaused(paused)
    this.#changed()
  }

  // What was refused must not be shown as if it held.
  #giveIn () {
    if (this.#told === null) return
    this.chosen = { ...this.#told }
    this.#changed()
  }

  async #set (event, data) {
    try {
      await this.#sender.send(event, data)
    } catch (error) {
      // A new session has begun, which gets all differing values anyway.
      if (isInDoubt(error)) return
      this.dispatchEvent(new CustomEvent('fault', { detail: faultOf(error) }))
      this.#giveIn()
    }
  }

  #setPaused (paused) {
    this.#set(paused ? 'pause' : 'resume', {})
  }

  #changed () {
    try {
      sessionStorage.setItem(key, JSON.stringify(this.chosen))
    } catch {
      // Storage may be forbidden; a reload then begins with the server's defaults.
    }
    this.dispatchEvent(new Event('change'))
  }
}

/** @returns {Chosen | null} */
function load () {
  try {
    const { perSecond, series, paused } = JSON.parse(sessionStorage.getItem(key) ?? 'null')
    const isSound = Number.isInteger(perSecond) && Array.isArray(series) && typeof paused === 'boolean'
    return isSound ? { perSecond, series, paused } : null
  } catch {
    return null
  }
}
