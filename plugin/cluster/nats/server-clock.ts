/** How long a reading of the server's clock is good, in milliseconds. */
const goodMs = 60_000
/** The error from which a better reading is worth a request, in milliseconds. */
const bluntMs = 5
/** Most that two clocks run apart, as a part of the time since they were compared. Crystals are ten times as exact. */
const drift = 1e-3

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

  /** Whether the server's clock has certainly reached `time`. */
  isPast (time: number): boolean {
    return time <= this.now() - this.#uncertainty
  }

  /** Whether the server's clock has certainly not reached `time`. Close to `time`, neither this nor {@link isPast} holds. */
  isBefore (time: number): boolean {
    return time > this.now() + this.#uncertainty
  }

  get #uncertainty (): number {
    return this.#error / 2 + (performance.now() - this.#readAt) * drift
  }

  /** The server's time at a time of this machine's wall clock. */
  of (wall: number): number {
    return this.now() + wall - Date.now()
  }
}
