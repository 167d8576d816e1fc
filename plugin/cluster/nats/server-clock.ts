/** How long a reading of the server's clock is good, in milliseconds. */
const goodMs = 60_000

/**
 * The clock of the server, by which records and leases end: the clocks of nodes may differ. Each reading has an
 * error of up to the time that its request took; of several, the quickest counts.
 */
export class ServerClock {
  #ahead = 0
  #error = Infinity
  #readAt = -Infinity

  /** Notes that the server's clock said `time` between `askedAt` and now, both on the clock of `performance.now()`. */
  read (time: number, askedAt: number): void {
    const now = performance.now()
    const error = now - askedAt
    if (error > this.#error && this.isGood) return
    this.#ahead = time - (askedAt + now) / 2
    this.#error = error
    this.#readAt = now
  }

  get isGood (): boolean {
    return performance.now() - this.#readAt < goodMs
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
