const firstBytes = 1_024

/** The last bytes of a stream's text. Its memory grows with the text, up to the limit. */
export class SlidingWindow {
  readonly #limit: number
  #buffer = Buffer.alloc(0)
  #length = 0

  constructor (limit: number) {
    this.#limit = limit
  }

  /** Valid until the next `push`. */
  get bytes (): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  push (text: Buffer): void {
    const tail = text.length > this.#limit ? text.subarray(text.length - this.#limit) : text
    const length = Math.min(this.#limit, this.#length + tail.length)
    if (length > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(this.#limit, Math.max(firstBytes, length * 2)))
      this.#buffer.copy(grown, 0, 0, this.#length)
      this.#buffer = grown
    }
    const kept = length - tail.length
    if (kept < this.#length) this.#buffer.copyWithin(0, this.#length - kept, this.#length)
    tail.copy(this.#buffer, kept)
    this.#length = length
  }
}
