import type { Carrier, Protocol } from '../carriers/carrier.ts'
import type { StreamCompression } from '../carriers/stream-compression.ts'
import type { Flushable } from '../delivery/flushable.ts'
import type { Outbox } from '../delivery/outbox.ts'
import type { Counters } from '../metrics/counters.ts'

/** Why a stream ended. */
export type DisconnectReason =
  /** The client left, or the connection broke. */
  | 'client'
  /** The client took nothing for `stallTimeoutMs`. */
  | 'stalled'
  /** More updates waited than `queueFrames` or `queueBytes` allow. */
  | 'overflow'
  /** A newer stream of the same session took over. */
  | 'replaced'
  /** The session goes on at another node. */
  | 'moved'
  /** The session, or the transport, was closed. */
  | 'closed'
  /** The handler of a transport without a session threw. */
  | 'failed'

/** The source of a stream's updates, and the receiver of its events. */
export interface StreamReader {
  /** Name of its session in logs; null for none. */
  readonly shortId: string | null
  readonly outbox: Outbox
  readonly counters: Counters
  /** Begins each update's `id:` line; null for readers that count updates themselves, and for frames with ids of their own. */
  readonly idPrefix: string | null
  /** Whether the heartbeat carries the number of the last update. */
  readonly counted: boolean
  /** Least milliseconds from one write of updates to the next; 0 for none. */
  readonly paceMs: number
  /** Whether the backlog is too large to wait for the pace. */
  readonly isPressed: boolean
  /** Number of the last update that was written to it. */
  readonly lastWritten: number
  /** What a heartbeat says of its events. Undefined or absent for nothing. */
  readonly durable?: number | undefined
  /** Time of the last write that others made to its carrier, on the clock of `performance.now()`; 0 for none. */
  readonly sharedWriteAt: number
  /** Takes what it shares with others into its own outbox: the stream changes, or is full. */
  leaveStep: () => void
  /** The stream has text of its own, which goes before all updates that wait. */
  onControl: () => void
  /** Called after each flush: the stream may have written something, or be full. */
  onFlushed: () => void
  /** The stream is gone; called once. */
  onGone: (reason: DisconnectReason) => void
}

/**
 * A stream to one client. A session uses its stream only through this interface.
 */
export interface Stream extends Flushable {
  readonly protocol: Protocol
  /** Figures of its compression; null for none. */
  readonly compression: StreamCompression | null
  readonly writeBuffer: number
  readonly heartbeatMs: number
  readonly stallTimeoutMs: number
  /** Bytes that the operating system has not taken yet. */
  readonly queuedBytes: number
  /** Writes what it can; true, since it never needs another slice. */
  flush: (now: number) => true
  /** Whether it says goodbye even without a session. */
  readonly goodbye: boolean
  /** Whether its carrier makes a piece of each shared batch. */
  readonly splices: boolean
  /** Most bytes of one write. */
  readonly pieceBytes: number
  /** The carrier, if nothing but updates of the reader may follow: then others may write shared updates to it. */
  readonly idleCarrier: Carrier | null
  /** False from a write that fills the carrier to the next drain. */
  readonly writable: boolean
  readonly gone: boolean
  /** Reason of its end, once known. */
  readonly reason: DisconnectReason
  /** Whether `close` was called: updates queued later may not be written. */
  readonly closing: boolean
  /** Its share of the memory of a batch that it has begun to write. */
  readonly heldWeight: number
  /** URL pattern of its route. */
  readonly url: string
  /** The verdict of its hello; null before, and for a stream without a session. */
  readonly verdict: string | null
  /** When it was opened, on the clock of `performance.now()`. */
  readonly openedAt: number
  /**
   * Tells those who watch that it is open. For its user, once the reader is attached.
   *
   * @param url pattern of the session's URL; null for a stream without a session
   * @param verdict of the hello; null for none
   */
  announce: (url: string | null, verdict: string | null) => void
  /** Writes `opening`, then the updates of `reader` from now on. */
  attach: (reader: StreamReader, opening: string) => void
  /** Writes library text before the next update. */
  control: (text: string) => void
  /** Writes library text behind the reader's updates before number `next`, or before a later update. */
  controlBehind: (text: string, next: number) => void
  /** Number of texts of {@link controlBehind} that were not written yet. */
  readonly waitingControls: number
  /**
   * Writes everything that waits, then `goodbye`, and ends. If that takes longer than `withinMs`, the stream is
   * destroyed. A second call can only shorten that time. `closeCode` is for a WebSocket; default 1000.
   */
  close: (goodbye: string, withinMs: number, reason: DisconnectReason, closeCode?: number) => void
  /** The pace of its reader has changed. */
  repace: () => void
  /** A write of others has filled the carrier. */
  filled: () => void
  /** Notes the time of a write that others made. */
  noteWrite: (at: number) => void
  /** Removes the reader: the stream writes no further updates, and the reader gets no further events. */
  detach: () => void
  /** Ends the stream now, without another byte. */
  destroy: (reason: DisconnectReason) => void
}
