interface Reading {
  at: number
  counters: readonly number[]
}

/**
 * Turns ever-growing counters into rates over the last `windowMs`.
 *
 * Counters of the kernel move in steps (CPU time in hundredths of a second). So the
 * difference between two readings 10 ms apart says nothing. The difference to a
 * reading one window ago is exact enough, at any frequency of readings.
 */
export class RateWindow {
  readonly #windowMs: number
  readonly #staleMs: number
  #readings: Reading[] = []

  constructor (windowMs: number) {
    this.#windowMs = windowMs
    // A baseline from before a pause would smear the pause over the first rates.
    this.#staleMs = windowMs * 4
  }

  /** Takes a reading of counters and gives each one's growth a second; undefined as long as there is nothing to compare with. */
  perSecond (at: number, counters: readonly number[]): number[] | undefined {
    const growth = this.#grow(at, counters)
    return growth?.by.map((by) => by / growth.seconds)
  }

  /** Takes a reading of busy and total times, in turn, and gives the busy shares in percent. */
  busyPercent (at: number, times: readonly number[]): number[] | undefined {
    const growth = this.#grow(at, times)
    if (growth === undefined) return undefined
    const percents: number[] = []
    for (let index = 0; index < growth.by.length; index += 2) {
      const total = growth.by[index + 1] ?? 0
      // The system's clock has not moved yet: no figure is better than 0 %.
      if (total === 0) return undefined
      percents.push(Math.min(100, 100 * (growth.by[index] ?? 0) / total))
    }
    return percents
  }

  #grow (at: number, counters: readonly number[]): { by: number[], seconds: number } | undefined {
    const readings = this.#readings
    const last = readings.at(-1)
    if (last !== undefined && (at - last.at > this.#staleMs || last.counters.length !== counters.length)) readings.length = 0
    readings.push({ at, counters })
    let first = 0
    while (first + 1 < readings.length && at - (readings[first + 1]?.at ?? at) >= this.#windowMs) first++
    if (first > 0) readings.splice(0, first)
    const baseline = readings[0]
    if (baseline === undefined || baseline.at === at) return undefined
    return {
      by: counters.map((counter, index) => Math.max(0, counter - (baseline.counters[index] ?? counter))),
      seconds: (at - baseline.at) / 1000
    }
  }
}
