import type { EncodedBatch } from './encoded-batch.ts'
import type { NumberedBatch } from './numbered-batch.ts'
import type { StreamCompression } from './stream-compression.ts'

/** Protocols that carry a stream. */
export type Protocol = 'http/1.1' | 'http/2' | 'websocket'

/** A counter for each protocol, all 0. */
export function protocolCounts (): Record<Protocol, number> {
  return { 'http/1.1': 0, 'http/2': 0, websocket: 0 }
}

/** Gets a carrier's events. */
export interface CarrierOwner {
  /** The carrier takes bytes again. */
  drained: () => void
  /** The carrier is full, although its last write returned true. */
  filled: () => void
  /** The peer gave the stream up; `closed` may follow much later. */
  aborted: () => void
  /** Either side closed the carrier; called once. */
  closed: () => void
}

/**
 * Carries a stream's text to one peer. An open carrier takes all bytes of each `write…` call. The
 * call returns false if the caller should wait for the next drain before it writes more.
 */
export interface Carrier {
  readonly protocol: Protocol
  /** Most bytes of one write. */
  readonly pieceBytes: number
  /** Bytes that the operating system has not taken yet, as far as is known; falls while a slow peer reads. */
  readonly queuedBytes: number
  /** Figures of the compression; absent where there is none. */
  readonly compression?: StreamCompression
  /**
   * Whether the opening must be written with the head, not with the first frames. A test's or a
   * middleware's substitute for a connection may treat a body that is empty after the head as no body.
   */
  readonly opensAtOnce: boolean
  /** Whether a shared batch costs less in a write of its own than as a part of a text. */
  readonly splices?: boolean
  /** Joins all writes that `write` makes into one; present where `splices` is true. */
  together?: (write: () => void) => void
  /** Sets the owner; called once, before anything else. */
  attach: (owner: CarrierOwner) => void
  /**
   * @param bytes length of the text in UTF-8
   * @param isDeflatable whether it may be deflated: it is application text of one audience, so
   * its compressed length tells other audiences nothing; default false
   */
  writeText: (text: string, bytes: number, isDeflatable?: boolean) => boolean
  writeBatch: (batch: EncodedBatch) => boolean
  /**
   * Writes updates with the ids of this stream, from the number `first` on, without a text of its own. Absent where a
   * text costs no more.
   *
   * @param bytes length of all of it
   */
  writeNumbered?: (batch: NumberedBatch, prefix: string, first: number, bytes: number) => boolean
  /** Writes a part of a text that is too large for one write; `last` ends that text. */
  writePart: (part: EncodedBatch, last: boolean) => boolean
  /** Reports every drain to the owner from now on. */
  watchDrain: () => void
  /** Pings the peer, where the protocol has a ping. Returns false if the last ping has no answer yet. */
  beat: () => boolean
  /** Ends the carrier once everything is written. `code` is the reason, where the protocol has close codes. */
  close: (code: number) => void
  /** Ends the carrier now, without another byte. */
  destroy: () => void
}
