import type { Protocol } from '../carriers/carrier.ts'
import type { StreamCompression } from '../carriers/stream-compression.ts'
import type { Flushable } from '../delivery/flush-scheduler.ts'
import type { Outbox } from '../delivery/outbox.ts'
import type { Counters } from '../metrics/counters.ts'

/** Why a stream ended. */
export type DisconnectReason =
  /** The client left, or the connection broke. */
  | 'client'
  /** It took nothing for `stallTimeoutMs`. */
  | 'stalled'
  /** More waited for it than `queueFrames` or `queueBytes` allow. */
  | 'overflow'
  /** A newer stream of the same session took over. */
  | 'replaced'
  /** The session, or the transport, was closed. */
  | 'closed'
  /** The handler that has the transport threw; only of a transport without a session. */
  | 'failed'

/** Whose updates a stream writes, and who gets its events. */
export interface StreamReader {
  /** Name of its session in logs; null for none. */
  readonly shortId: string | null
  readonly outbox: Outbox
  readonly counters: Counters
  /** Begins each update's `id:` line; null for readers that count, and where the frames carry their own ids. */
  readonly idPrefix: string | null
  /** Whether the heartbeat carries the number of the last update. */
  readonly counted: boolean
  /** Least milliseconds from one write of updates to the next; 0 for none. */
  readonly paceMs: number
  /** Whether so much waits that it must be written before its pace allows it. */
  readonly isPressed: boolean
  /** Called after each flush: the stream may have written something, or be full. */
  onFlushed: () => void
  /** The stream is gone; called once. */
  onGone: (reason: DisconnectReason) => void
}

/**
 * One way down to a client. A session knows its stream only by this interface.
 */
export interface Stream extends Flushable {
  readonly protocol: Protocol
  /** Figures of its compression; null for none. */
  readonly compression: StreamCompression | null
  readonly writeBuffer: number
  readonly heartbeatMs: number
  readonly stallTimeoutMs: number
  /** Whether it says goodbye also without a session. */
  readonly goodbye: boolean
  /** False from a write that the carrier could not take at once, to its drain. */
  readonly writable: boolean
  readonly gone: boolean
  /** The reason of its end, once that is known. */
  readonly reason: DisconnectReason
  /** Whether it was closed: updates that are queued later may not be written. */
  readonly closing: boolean
  /** Its share of the memory of a batch that it has begun to write. */
  readonly heldWeight: number
  /** Gives it the reader whose updates it writes from now on, behind `opening`. */
  attach: (reader: StreamReader, opening: string) => void
  /** Writes text of the library's own, before the next update. */
  control: (text: string) => void
  /**
   * Writes what waits, then `goodbye`, and ends; is destroyed when that takes longer than `withinMs`. A second
   * call can only shorten that time. `closeCode` is for a WebSocket; default 1000.
   */
  close: (goodbye: string, withinMs: number, reason: DisconnectReason, closeCode?: number) => void
  /** Takes its reader away: it writes no further updates, and the reader gets no further events. */
  detach: () => void
  /** Ends it now, without another byte. */
  destroy: (reason: DisconnectReason) => void
}
