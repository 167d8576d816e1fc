import type { Frame } from './frame.ts'

/**
 * Counts the bytes that all outboxes hold together. A frame that many outboxes
 * share counts once.
 */
export class ByteBudget {
  readonly limit: number
  /** Bytes held now. */
  used = 0
  /** Called when an outbox took the total over the limit; it makes room. */
  onExceeded: () => void = () => {}

  constructor (limit: number) {
    this.limit = limit
  }

  hold (frame: Frame): void {
    if (frame.holders++ === 0) this.used += frame.bytes
    else frame.isShared = true
  }

  release (frame: Frame): void {
    if (--frame.holders === 0) this.used -= frame.bytes
  }
}
