/** Counts the sessions that this node has moved into the engine, until it learns that they are out again. Bounded. */
export class FrozenSessions {
  readonly #most: number
  /** Until when each may be there, by ref. */
  readonly #until = new Map<string, number>()
  #lookedAt = -Infinity

  constructor (most: number) {
    this.#most = most
  }

  get size (): number { return this.#until.size }

  /** Whether another fits. */
  hasRoom (now: number): boolean {
    if (this.#until.size < this.#most) return true
    // Where all are still there, looking again at once would find the same.
    if (now - this.#lookedAt >= lookMs) {
      this.#lookedAt = now
      for (const [ref, until] of this.#until) if (until <= now) this.#until.delete(ref)
    }
    return this.#until.size < this.#most
  }

  set (ref: string, until: number): void {
    this.#until.set(ref, until)
  }

  delete (ref: string): void {
    this.#until.delete(ref)
  }
}

/** Least milliseconds between two searches for those whose time is over. */
const lookMs = 1_000
