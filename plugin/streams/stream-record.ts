import type { FastifyBaseLogger } from 'fastify'
import type { Protocol } from '../carriers/carrier.ts'
import type { DisconnectReason, StreamReader } from './stream.ts'

/**
 * The figures for a stream's line in the log. It counts nothing itself: a reader's counters
 * span all its streams, and the difference from begin to end is this stream's part.
 */
export class StreamRecord {
  readonly #log: FastifyBaseLogger
  readonly #openedAt = performance.now()
  #session: string | null = null
  /** Minus the reader's earlier counts, until {@link settle} adds the final ones. */
  #updates = 0
  #bytes = 0

  constructor (log: FastifyBaseLogger) {
    this.#log = log
  }

  /** Call it when a reader gets the stream, before the reader counts anything of it. */
  begin ({ shortId, counters }: StreamReader): void {
    this.#session = shortId
    this.#updates -= counters.framesWritten
    this.#bytes -= counters.bytesWritten
  }

  /** Call it when the reader has counted everything of the stream. */
  settle ({ counters }: StreamReader): void {
    this.#updates += counters.framesWritten
    this.#bytes += counters.bytesWritten
  }

  /** Writes the line. `moreBytes` are bytes that no reader has counted. */
  writeLine (reason: DisconnectReason, protocol: Protocol, moreBytes: number): void {
    const session = this.#session === null ? {} : { session: this.#session }
    const ms = Math.round(performance.now() - this.#openedAt)
    try {
      this.#log.info({ ...session, reason, protocol, ms, updates: this.#updates, bytes: this.#bytes + moreBytes }, 'a tether stream ended')
    } catch {
      // An application's own logger threw; the stream ends all the same.
    }
  }
}
