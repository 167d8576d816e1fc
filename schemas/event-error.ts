import { inspect } from 'node:util'

/**
 * What a request's handler throws for its client: `live.request` rejects there with this code, message and data. It is an
 * answer: it is neither logged nor counted as an error, and `onError` does not run. Anything else that a handler throws
 * reaches the client as `TETHER_FAILED`, without details.
 *
 * @example
 * throw new EventError('SOLD_OUT', 'There is none left', { left: 0 })
 */
export class EventError extends Error {
  /** Tells the client what is wrong. */
  readonly code: string
  /** Further details for the client, as JSON; undefined for none. */
  readonly data: unknown
  /** Status of an HTTP answer. */
  readonly statusCode = 422

  /**
   * @param code a text of your own that does not begin with `TETHER_`, such as `SOLD_OUT`
   * @param message for the client. Default: the code.
   * @param data further details for the client, as JSON. Default: none.
   * @throws TypeError for a code or a message of another kind
   */
  constructor (code: string, message: string = code, data?: unknown) {
    if (typeof code !== 'string' || code === '' || code.startsWith('TETHER_')) throw new TypeError(`the code of an EventError must be a text that does not begin with "TETHER_"; got ${inspect(code, { depth: 0 })}`)
    if (typeof message !== 'string') throw new TypeError(`the message of an EventError must be a string; got ${typeof message}`)
    super(message)
    this.name = 'EventError'
    this.code = code
    this.data = data
  }
}
