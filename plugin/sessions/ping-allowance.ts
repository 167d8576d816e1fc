/** Limits the pings of one session over time: an allowance of one second's pings, which refills evenly. */
export class PingAllowance {
  readonly #perSecond: number
  #left: number
  #filledAt: number

  constructor (perSecond: number, now: number) {
    this.#perSecond = perSecond
    this.#left = perSecond
    this.#filledAt = now
  }

  /** Takes `count` pings, or none. Returns whether it took them. */
  take (count: number, now: number): boolean {
    this.#left = Math.min(this.#perSecond, this.#left + (now - this.#filledAt) * this.#perSecond / 1_000)
    this.#filledAt = now
    if (this.#left < count) return false
    this.#left -= count
    return true
  }
}
