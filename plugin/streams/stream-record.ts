import type { FastifyBaseLogger } from 'fastify'
import type { Protocol } from '../carriers/carrier.ts'
import type { DisconnectReason, StreamReader } from './stream.ts'

/**
 * Remembers of a stream what its line in the log tells, without counting anything
 * itself: a reader's counters go on over all its streams, so the difference is the stream's.
 */
export class StreamRecord {
  readonly #log: FastifyBaseLogger
  readonly #openedAt = performance.now()
  #session: string | null = null
  /** Below zero by what the reader's counters held before, until {@link settle}. */
  #updates = 0
  #bytes = 0

  constructor (log: FastifyBaseLogger) {
    this.#log = log
  }

  /** A reader has the stream from now on; its counters have nothing of the stream yet. */
  begin ({ shortId, counters }: StreamReader): void {
    this.#session = shortId
    this.#updates -= counters.framesWritten
    this.#bytes -= counters.bytesWritten
  }

  /** The reader's counters have all that there is of the stream. */
  settle ({ counters }: StreamReader): void {
    this.#updates += counters.framesWritten
    this.#bytes += counters.bytesWritten
  }

  /** Writes the line. `moreBytes` were written while no reader counted them. */
  end (reason: DisconnectReason, protocol: Protocol, moreBytes: number): void {
    const session = this.#session === null ? {} : { session: this.#session }
    const ms = Math.round(performance.now() - this.#openedAt)
    try {
      this.#log.info({ ...session, reason, protocol, ms, updates: this.#updates, bytes: this.#bytes + moreBytes }, 'a tether stream ended')
    } catch {
      // A logger of the application's own; the stream ends all the same.
    }
  }
}
