/** Keys in the order of their times. */
export class DueIndex {
  /** Sorted. Most times are later than all before, so most keys go to the end. */
  readonly #entries: Array<{ readonly at: number, readonly key: string }> = []

  add (at: number, key: string): void {
    this.#entries.splice(this.#placeOf(at, key), 0, { at, key })
  }

  delete (at: number, key: string): void {
    const place = this.#placeOf(at, key)
    if (this.#entries[place]?.key === key) this.#entries.splice(place, 1)
  }

  /** Keys whose time is `now` or earlier, the earliest first. `isAlive` may delete the key that it is asked for. */
  until (now: number, limit: number, isAlive: (key: string) => boolean): string[] {
    const found: string[] = []
    const candidates: string[] = []
    // A dead key leaves the index while it is asked for, so the keys are copied, in pieces.
    for (let from = 0; found.length < limit;) {
      candidates.length = 0
      for (let place = from; place < this.#entries.length && candidates.length < limit && this.#entries[place]!.at <= now; place++) candidates.push(this.#entries[place]!.key)
      if (candidates.length === 0) break
      for (const key of candidates) {
        if (found.length === limit) break
        if (!isAlive(key)) continue
        found.push(key)
        from++
      }
    }
    return found
  }

  #placeOf (at: number, key: string): number {
    let low = 0
    let high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >> 1
      const entry = this.#entries[middle]!
      if (entry.at < at || (entry.at === at && entry.key < key)) low = middle + 1
      else high = middle
    }
    return low
  }
}
