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
  /** The limit, or a little more than what could not be shed. */
  #exceededFrom: number

  constructor (limit: number) {
    this.limit = limit
    this.#exceededFrom = limit
  }

  /** Whether room is to be made. */
  get isExceeded (): boolean { return this.used > this.#exceededFrom }

  /** All that could be shed was shed: where more is still held (by plain transports, say), looking again at every frame would not help. */
  shed (): void {
    this.#exceededFrom = Math.max(this.limit, this.used * 1.01)
  }

  hold (frame: Frame): void {
    if (frame.holders++ === 0) this.used += frame.bytes
    else frame.isShared = true
  }

  release (frame: Frame): void {
    if (--frame.holders > 0) return
    this.used -= frame.bytes
    if (this.#exceededFrom > this.limit) this.#exceededFrom = Math.max(this.limit, Math.min(this.#exceededFrom, this.used * 1.01))
  }
}
