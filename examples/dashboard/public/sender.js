/**
 * Sends events, and knows which are on their way: those that wait for the line to
 * come back, and those that the session has not yet accepted.
 *
 * Dispatches `change` when that changes.
 */
export class Sender extends EventTarget {
  #live
  /** @type {string[]} */
  #pending = []

  /** @param {import('fastify-tether/client').Connection} live */
  constructor (live) {
    super()
    this.#live = live
  }

  /** @param {string[]} events */
  holds (...events) {
    return this.#pending.some((event) => events.includes(event))
  }

  get size () {
    return this.#pending.length
  }

  /**
   * @param {string} event
   * @param {unknown} data
   * @returns {Promise<void>} rejects as the connection's `emit` does
   */
  async send (event, data) {
    this.#pending.push(event)
    this.dispatchEvent(new Event('change'))
    try {
      await this.#live.emit(event, data)
    } finally {
      this.#pending.splice(this.#pending.indexOf(event), 1)
      this.dispatchEvent(new Event('change'))
    }
  }
}

/** The session was gone before it answered: the event may have run there, and is not sent to another. */
export function isInDoubt (error) {
  return error.code === 'TETHER_IN_DOUBT'
}

/**
 * Why an event was not accepted, in words for a person.
 *
 * @param {import('fastify-tether/client').ClientError} error
 */
export function faultOf (error) {
  const { code, errors, message, status } = error
  if (isInDoubt(error)) return 'No answer came. It may have arrived all the same.'
  if (errors?.length > 0) return errors.map(({ path, message }) => `${path || 'body'} ${message}`).join('; ')
  return code === undefined ? `The server answered ${status}.` : `${message} (${code})`
}
