/** What happened in a run, line by line; the oldest lines go first. */
export class Trace {
  readonly #most: number
  #lines: string[] = []
  count = 0

  constructor (most: number) {
    this.#most = most
  }

  add (line: string): void {
    this.count++
    if (this.#most === 0) return
    this.#lines.push(line)
    if (this.#lines.length > 2 * this.#most) this.#lines = this.#lines.slice(-this.#most)
  }

  get lines (): readonly string[] { return this.#lines.slice(-this.#most) }
}
