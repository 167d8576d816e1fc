const timeoutMs = 10_000
const attemptsAtMost = 8

/**
 * @typedef {object} Entry
 * @property {string} event
 * @property {unknown} data
 * @property {boolean} setting safe to send twice; only the newest counts
 * @property {number} attempts
 * @property {(outcome: Outcome) => void} settle
 *
 * @typedef {{ ok: true } | { ok: false, message: string }} Outcome
 */

/**
 * Posts events one request after the other, since parallel ones arrive in any
 * order, and keeps them while the line is down.
 *
 * Dispatches `change` when what is waiting changes, `busy` when the session asks
 * to slow down, `gone` when the session is not known any more, and `fault` with
 * a message when a setting was refused.
 */
export class PostQueue extends EventTarget {
  /** @type {Entry[]} */
  #waiting = []
  /** @type {Entry[]} */
  #sending = []
  #url
  #target
  /** @type {number | undefined} */
  #retryTimer

  /**
   * @param {string} url
   * @param {() => { session: string, maxBatch: number } | null} target
   */
  constructor (url, target) {
    super()
    this.#url = url
    this.#target = target
  }

  /** @param {string[]} events */
  holds (...events) {
    return [...this.#sending, ...this.#waiting].some(({ event }) => events.includes(event))
  }

  get size () {
    return this.#waiting.length + this.#sending.length
  }

  /**
   * Queues a setting, in place of those that it makes void.
   *
   * @param {string} event
   * @param {unknown} data
   * @param {string[]} [replaces]
   */
  set (event, data, replaces = [event]) {
    this.#waiting = this.#waiting.filter((entry) => !replaces.includes(entry.event))
    const settle = (outcome) => {
      if (!outcome.ok) this.dispatchEvent(new CustomEvent('fault', { detail: outcome.message }))
    }
    this.#put({ event, data, setting: true, attempts: 0, settle })
  }

  /**
   * Queues an event that must not be lost or sent twice.
   *
   * @param {string} event
   * @param {unknown} data
   * @returns {Promise<Outcome>}
   */
  send (event, data) {
    return new Promise((resolve) => {
      this.#put({ event, data, setting: false, attempts: 0, settle: resolve })
    })
  }

  async flush () {
    const target = this.#target()
    if (this.#sending.length > 0 || this.#waiting.length === 0 || target === null || this.#retryTimer !== undefined) return
    // A batch is all or nothing: a refused notice must not take settings along.
    const settings = this.#waiting.findIndex(({ setting }) => !setting)
    const many = settings === -1 ? this.#waiting.length : Math.max(1, settings)
    this.#sending = this.#waiting.splice(0, Math.min(many, target.maxBatch))
    let retryMs = 0
    try {
      retryMs = await this.#post(target.session)
    } finally {
      this.#waiting.unshift(...this.#sending)
      this.#sending = []
      this.#changed()
    }
    if (retryMs > 0) {
      this.#retryTimer = setTimeout(() => {
        this.#retryTimer = undefined
        this.flush()
      }, retryMs)
    } else {
      this.flush()
    }
  }

  #put (entry) {
    this.#waiting.push(entry)
    this.#changed()
    this.flush()
  }

  #changed () {
    this.dispatchEvent(new Event('change'))
  }

  #settle (outcome) {
    for (const entry of this.#sending) entry.settle(outcome)
    this.#sending = []
  }

  /**
   * Sends what is being sent; what is left in #sending afterwards is tried again.
   *
   * @returns {Promise<number>} milliseconds to wait before the next request
   */
  async #post (session) {
    const envelopes = this.#sending.map(({ event, data }) => ({ event, data }))
    for (const entry of this.#sending) entry.attempts++
    let response
    try {
      response = await fetch(this.#url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-tether-session': session },
        body: JSON.stringify(envelopes.length === 1 ? envelopes[0] : envelopes),
        signal: AbortSignal.timeout(timeoutMs)
      })
    } catch {
      return this.#doubt()
    }
    if (response.ok) {
      this.#settle({ ok: true })
      return 0
    }
    const message = faultOf(response.status, await response.json().catch(() => null))
    const again = this.#sending.every(({ attempts }) => attempts < attemptsAtMost)
    if ((response.status === 429 || response.status === 503) && again) {
      const seconds = Number(response.headers.get('retry-after')) || 1
      this.dispatchEvent(new CustomEvent('busy', { detail: { seconds } }))
      return seconds * 1000
    }
    if ((response.status === 404 || response.status === 410) && again) {
      // Surely not applied, so they may go to the next session.
      this.dispatchEvent(new CustomEvent('gone', { detail: { session } }))
      return 250
    }
    this.#settle({ ok: false, message })
    return 0
  }

  // No answer: a setting is simply set again, anything else may have arrived.
  #doubt () {
    const kept = this.#sending.filter(({ setting }) => setting)
    this.#sending = this.#sending.filter(({ setting }) => !setting)
    this.#settle({ ok: false, message: 'No answer came. It may have arrived all the same.' })
    this.#sending = kept
    return 1000
  }
}

/**
 * @param {number} status
 * @param {{ message?: string, code?: string, errors?: { path: string, message: string }[] } | null} body
 */
function faultOf (status, body) {
  if (Array.isArray(body?.errors) && body.errors.length > 0) {
    return body.errors.map(({ path, message }) => `${path || 'body'} ${message}`).join('; ')
  }
  return body?.message ? `${body.message} (${body.code ?? status})` : `The server answered ${status}.`
}
