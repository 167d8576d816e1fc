/** How long a reading of the server's clock is good, in milliseconds. */
const goodMs = 60_000
/** The error from which a better reading is worth a request, in milliseconds. */
const bluntMs = 5

/**
 * The clock of the server, by which records and leases end: the clocks of nodes may differ. Each reading has an
 * error of up to the time that its request took; of several, the quickest counts.
 */
export class ServerClock {
  #ahead = 0
  #error = Infinity
  #readAt = -Infinity

  /** Notes that the server's clock said `time` between `askedAt` and `answeredAt`, both on the clock of `performance.now()`. */
  read (time: number, askedAt: number, answeredAt = performance.now()): void {
    const error = answeredAt - askedAt
    if (error > this.#error && this.#isFresh) return
    this.#ahead = time - (askedAt + answeredAt) / 2
    this.#error = error
    this.#readAt = answeredAt
  }

  get #isFresh (): boolean {
    return performance.now() - this.#readAt < goodMs
  }

  /** Whether no other reading is needed yet. */
  get isGood (): boolean {
    return this.#error < bluntMs && this.#isFresh
  }

  /** The server's time in milliseconds. */
  now (): number {
    return performance.now() + this.#ahead
  }

  /** The server's time at a time of this machine's wall clock. */
  of (wall: number): number {
    return this.now() + wall - Date.now()
  }
}
