/**
 * Bounds the processor time for deflating text of one stream only. The bound is a share of the
 * elapsed time, so the cost does not grow with the number of streams. Text beyond it is stored.
 */
export class DeflateAllowance {
  readonly #share: number
  readonly #mostMs: number
  readonly #clock: () => number
  /** Milliseconds left; below 0 after a long deflate. */
  #leftMs: number
  #countedAt: number

  /** @param mostMs most milliseconds that may accumulate while nothing is deflated */
  constructor (share: number, mostMs: number, clock: () => number = () => performance.now()) {
    this.#share = share
    this.#mostMs = mostMs
    this.#clock = clock
    this.#leftMs = mostMs
    this.#countedAt = clock()
  }

  has (): boolean {
    if (this.#leftMs > 0) return true
    const now = this.#clock()
    this.#leftMs = Math.min(this.#mostMs, this.#leftMs + (now - this.#countedAt) * this.#share)
    this.#countedAt = now
    return this.#leftMs > 0
  }

  /** Charges the time since `startedAt`. */
  spend (startedAt: number): void {
    const now = this.#clock()
    this.#leftMs = Math.min(this.#mostMs, this.#leftMs + (now - this.#countedAt) * this.#share) - (now - startedAt)
    this.#countedAt = now
  }
}
