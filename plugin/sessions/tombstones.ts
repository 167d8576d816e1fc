/** Names of what is gone, remembered for a time: the last of them, up to a number. */
export class Tombstones {
  readonly #most: number
  /** Until when each is remembered; the oldest first. */
  readonly #until = new Map<string, number>()

  constructor (most: number) {
    this.#most = most
  }

  get size (): number { return this.#until.size }

  has (name: string): boolean {
    const until = this.#until.get(name)
    if (until === undefined) return false
    if (until > performance.now()) return true
    this.#until.delete(name)
    return false
  }

  /** @param forMs how long it is remembered; 0: not at all */
  add (name: string, forMs: number): void {
    if (forMs === 0) return
    if (this.#until.size >= this.#most) {
      const oldest = this.#until.keys().next()
      if (oldest.done !== true) this.#until.delete(oldest.value)
    }
    this.#until.set(name, performance.now() + forMs)
  }
}
