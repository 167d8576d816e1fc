import type { FastifyBaseLogger } from 'fastify'
import type { Protocol } from '../carriers/carrier.ts'
import type { Watch } from '../metrics/watch.ts'
import type { DisconnectReason, StreamReader } from './stream.ts'

/**
 * The figures for a stream's line in the log, and for those who watch. It counts nothing itself: a reader's counters
 * span all its streams, and the difference from begin to end is this stream's part.
 */
export class StreamRecord {
  readonly #log: FastifyBaseLogger
  readonly #watch: Watch
  #url: string
  #isAnnounced = false
  /** On the clock of `performance.now()`. */
  readonly openedAt = performance.now()
  #verdict: string | null = null
  #session: string | null = null
  /** Minus the reader's earlier counts, until {@link settle} adds the final ones. */
  #updates = 0
  #bytes = 0

  /** @param url pattern of the stream's route */
  constructor (log: FastifyBaseLogger, url: string, watch: Watch) {
    this.#log = log
    this.#url = url
    this.#watch = watch
  }

  get url (): string { return this.#url }
  /** The verdict of its hello; null for none. */
  get verdict (): string | null { return this.#verdict }

  /** Tells those who watch that the stream is open; its end will be told, too. */
  announce (protocol: Protocol, url: string | null, verdict: string | null): void {
    this.#isAnnounced = true
    this.#verdict = verdict
    this.#url = url ?? this.#url
    if (this.#watch.seesStreamOpen) this.#watch.streamOpened({ session: this.#session, url: this.#url, protocol, verdict })
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

  /** Writes the line, and tells those who watch. `moreBytes` are bytes that no reader has counted. */
  end (reason: DisconnectReason, protocol: Protocol, moreBytes: number): void {
    const session = this.#session === null ? {} : { session: this.#session }
    const exactMs = performance.now() - this.openedAt
    const ms = Math.round(exactMs)
    const updates = this.#updates
    const bytes = this.#bytes + moreBytes
    try {
      this.#log.info({ ...session, reason, protocol, ms, updates, bytes }, 'a tether stream ended')
    } catch {
      // An application's own logger threw; the stream ends all the same.
    }
    if (this.#isAnnounced && this.#watch.seesStreamClose) this.#watch.streamClosed({ session: this.#session, url: this.#url, protocol, reason, ms: exactMs, updates, bytes })
  }
}
