import type { Answer } from './answer.ts'

/** What carries a stream: server-sent events or a WebSocket. */
export type Transport = 'sse' | 'websocket'

/** Names the session of a stream or a POST. */
export interface Claim {
  /** Undefined asks for a new session. */
  readonly session: string | undefined
  /** Number of the last update received; undefined before the first hello. */
  readonly seq: number | undefined
}

/**
 * Transport of one session: text of an event stream down, events up.
 *
 * The connection does the rest: parsing, counting, retries and order.
 */
export interface Link {
  /** What carries the present stream. Undefined: the link does not tell. */
  readonly transport?: Transport | undefined
  /**
   * Opens the stream and passes its text on, in pieces of any size.
   *
   * It reads on when the promise of `onText` has resolved. A transport that cannot slow its sender bounds the text
   * that waits, and ends the stream beyond. Text that was passed on counts, even after an abort of `signal`. The
   * next call of `open` comes when the connection has taken all of it.
   *
   * @returns a promise that resolves at the end of the stream, with the answer's status (200: it was a stream). It
   * rejects if the stream broke or `signal` was aborted.
   */
  open: (claim: Claim, onText: (text: string) => Promise<unknown>, signal: AbortSignal) => Promise<Answer>
  /**
   * Sends events. Calls overlap only while the page is being hidden, and with a ping of `latency()`, which has no number.
   *
   * @param body JSON of an envelope or of an array of them; empty to leave the session
   * @param keepalive whether the request must outlive the page
   * @returns a promise for the answer. It rejects, within `requestTimeoutMs`, where the events may or may not have
   * arrived.
   */
  send: (claim: Claim, body: string, keepalive: boolean) => Promise<Answer>
}
