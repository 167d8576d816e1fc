const key = 'tether-settings'

/**
 * @typedef {object} Chosen
 * @property {number} perSecond
 * @property {string[]} series
 * @property {boolean} paused
 */

/**
 * The settings of this tab. The page is their only home: the server sees subscriptions. They are kept for as long as the
 * tab is open, also over reloads.
 *
 * Dispatches `change`.
 */
export class Settings extends EventTarget {
  /** @type {Chosen} */
  chosen = { perSecond: 10, series: ['cpu', 'cores', 'memory', 'network', 'disk', 'loop', 'load', 'heap', 'plugin'], paused: false, ...load() }

  /** @param {Partial<Chosen>} changes */
  change (changes) {
    this.chosen = { ...this.chosen, ...changes }
    try {
      sessionStorage.setItem(key, JSON.stringify(this.chosen))
    } catch {
      // Storage may be forbidden; a reload then begins with the defaults.
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
