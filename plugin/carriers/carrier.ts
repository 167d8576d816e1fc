import type { EncodedBatch } from './encoded-batch.ts'
import type { StreamCompression } from './stream-compression.ts'

/** Protocols that carry a stream. */
export type Protocol = 'http/1.1' | 'http/2' | 'websocket'

/** A counter for each protocol, all 0. */
export function protocolCounts (): Record<Protocol, number> {
  return { 'http/1.1': 0, 'http/2': 0, websocket: 0 }
}

/** Gets a carrier's events. */
export interface CarrierOwner {
  /** It takes bytes again. */
  drained: () => void
  /** It takes no more, although its last write returned true. */
  filled: () => void
  /** Its peer gave it up; `closed` may follow much later. */
  aborted: () => void
  /** It is closed, by either side; called once. */
  closed: () => void
}

/**
 * Carries a stream's text to one peer. Each `write…` method returns false when nothing
 * more should be written before the next drain; its own bytes are on their way all the same.
 */
export interface Carrier {
  readonly protocol: Protocol
  /** Most bytes of one write. */
  readonly pieceBytes: number
  /** Bytes that the operating system has not taken yet, as far as it reports them; falls while a slow peer reads. */
  readonly queuedBytes: number
  /** Figures of the compression; absent where there is none. */
  readonly compression?: StreamCompression
  /**
   * Whether the opening must be written with the head, not with the first frames. A test's or a
   * middleware's substitute for a connection may take a body that is empty after the head for none.
   */
  readonly opensAtOnce: boolean
  /** Whether a batch that others get too costs less by itself than as a part of a text. */
  readonly splices?: boolean
  /** Joins all writes of `write` into one; present where it `splices`. */
  together?: (write: () => void) => void
  /** Sets the owner; called once, before anything else. */
  attach: (owner: CarrierOwner) => void
  /**
   * @param bytes length of the text in UTF-8
   * @param isDeflatable whether it is application text of one audience, so that its compressed
   * length may depend on it; default false
   */
  writeText: (text: string, bytes: number, isDeflatable?: boolean) => boolean
  writeBatch: (batch: EncodedBatch) => boolean
  /** Writes a part of a text that is too large for one write; `last` ends that text. */
  writePart: (part: EncodedBatch, last: boolean) => boolean
  /** Reports every drain to the owner from now on. */
  watchDrain: () => void
  /** Asks the peer for a sign of life, where the protocol has one; returns false when the last one is still missing. */
  beat: () => boolean
  /** Ends it once everything is written. `code` gives the reason where the protocol has one. */
  close: (code: number) => void
  /** Ends it now, without another byte. */
  destroy: () => void
}
