import type { EncodedBatch } from './encoded-batch.ts'
import type { StreamCompression } from './stream-compression.ts'

/** What a stream may travel by. */
export type Protocol = 'http/1.1' | 'http/2' | 'websocket'

/** A count of each, from 0. */
export function protocolCounts (): Record<Protocol, number> {
  return { 'http/1.1': 0, 'http/2': 0, websocket: 0 }
}

/** Whom a carrier tells what becomes of it. */
export interface CarrierOwner {
  /** It takes bytes again. */
  drained: () => void
  /** It takes no more, although its last write has said otherwise. */
  filled: () => void
  /** Its peer has given it up, though it may not be closed for long. */
  aborted: () => void
  /** It is closed, whoever closed it; called once. */
  closed: () => void
}

/**
 * What carries a stream's text to one peer. Each of the `write…` methods gives
 * false when nothing more should be written until it has drained; what was written
 * is on its way even so.
 */
export interface Carrier {
  readonly protocol: Protocol
  /** Most bytes to hand to one write. */
  readonly pieceBytes: number
  /** Bytes that the operating system has not taken yet, as far as it tells; falls while a slow peer reads. */
  readonly queuedBytes: number
  /** What becomes of the text; absent where it leaves as it is. */
  readonly compression?: StreamCompression
  /**
   * Whether the opening is written along with the head, not with the first frames. Whoever takes the
   * place of a connection may take a body that is empty right after the head for none.
   */
  readonly opensAtOnce: boolean
  /** Whether a batch that others get too costs less by itself than as a part of a text. */
  readonly splices?: boolean
  /** Has what `write` writes leave as one write; present where it `splices`. */
  together?: (write: () => void) => void
  /** Names the one who is told what happens; called once, before anything else. */
  attach: (owner: CarrierOwner) => void
  /**
   * @param bytes length of the text in UTF-8
   * @param isDeflatable whether it is the application's own and of one audience, so that its length
   * may tell of it; false where nothing is said
   */
  writeText: (text: string, bytes: number, isDeflatable?: boolean) => boolean
  writeBatch: (batch: EncodedBatch) => boolean
  /** Writes a part of a text that is too large for one write; `last` ends that text. */
  writePart: (part: EncodedBatch, last: boolean) => boolean
  /** Has the owner told of every drain from now on. */
  watchDrain: () => void
  /** Asks the peer for a sign of life, where there is a way; false when it still owes the last one. */
  beat: () => boolean
  /** Ends it once everything is written; `code` says why, where there is a way. */
  end: (code: number) => void
  /** Ends it without another byte. */
  destroy: () => void
}
