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

/** What a stream reads from, and whom it tells. */
export interface StreamReader {
  /** Names its session in logs; null where there is none. */
  readonly shortId: string | null
  readonly outbox: Outbox
  readonly counters: Counters
  /** Begins each update's `id:` line; null for readers that count, and where the frames carry their own ids. */
  readonly idPrefix: string | null
  /** Whether the heartbeat carries the number of the last update. */
  readonly counted: boolean
  /** Least milliseconds from one write of updates to the next; 0 for none. */
  readonly paceMs: number
  /** Whether so much waits that it is written before its time. */
  readonly isPressed: boolean
  /** Something was written, or the socket takes bytes again. */
  onFlushed: () => void
  /** The stream is gone; called once. */
  onGone: (reason: DisconnectReason) => void
}

/**
 * One way down to a client. A session knows its stream only by this, whatever
 * carries it.
 */
export interface Stream extends Flushable {
  readonly protocol: Protocol
  /** What became of its text so far; null where it leaves as it is. */
  readonly compression: StreamCompression | null
  readonly writeBuffer: number
  readonly heartbeatMs: number
  readonly stallTimeoutMs: number
  /** Whether it says goodbye although it has no session. */
  readonly goodbye: boolean
  /** False from a `write()` that was more than the socket could take at once, to its drain. */
  readonly writable: boolean
  readonly gone: boolean
  /** Why it is gone, or is about to be. */
  readonly reason: DisconnectReason
  /** Whether its end has been asked for: what is queued from then on may not be written. */
  readonly finishing: boolean
  /** Its share of the memory of an update that it has begun to write. */
  readonly heldWeight: number
  /** Whose frames it writes from now on; `opening` is written before them. */
  attach: (reader: StreamReader, opening: string) => void
  /** Writes on its own account, between frames. */
  control: (text: string) => void
  /** Writes what waits, then `goodbye`, and ends; destroyed when that takes longer than `withinMs`. `closeCode` is for a WebSocket; default 1000. */
  finish: (goodbye: string, withinMs: number, reason: DisconnectReason, closeCode?: number) => void
  /** Ends its reader's part at once: no further frames, only `goodbye`. The reader hears no more of it. */
  release: (goodbye: string) => void
  /** Ends it without another byte. */
  destroy: (reason: DisconnectReason) => void
}
