import type { Answer } from './answer.ts'

/** The session that a stream or a POST is for. */
export interface Claim {
  /** Undefined for a new one. */
  readonly session: string | undefined
  /** Number of the last update received; undefined when there was no hello yet. */
  readonly seq: number | undefined
}

/**
 * What carries a session: text of an event stream down, events up.
 *
 * The connection does all the rest: parsing, counting, retries, order.
 */
export interface Link {
  /**
   * Opens the stream and hands on its text, in any pieces; waits for what `onText` returns before it reads on,
   * or, where nobody can read less, bounds what waits and ends. What was handed on counts, also when `signal` is
   * aborted after it: the next `open` is called when all of it has been taken.
   *
   * @returns a promise that resolves when the stream is over, with the answer's status (200: it
   * was a stream, and ended); rejects when it broke or `signal` was aborted.
   */
  open: (claim: Claim, onText: (text: string) => Promise<unknown>, signal: AbortSignal) => Promise<Answer>
  /**
   * Sends events; there is one call at a time, except when the page is being hidden.
   *
   * @param body JSON of an envelope or of an array of them; empty when the page goes away
   * @param keepalive whether the page may go away before the answer comes
   * @returns a promise for the answer; rejects, within `requestTimeoutMs`, when it is not known whether they arrived.
   */
  send: (claim: Claim, body: string, keepalive: boolean) => Promise<Answer>
}
