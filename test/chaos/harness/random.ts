/** Pseudorandom numbers: the same seed gives the same sequence. */
export class Random {
  #state: number

  /** @param seeds whole numbers; each combination gives a sequence of its own */
  constructor (...seeds: number[]) {
    let state = 0x2545f491
    for (const seed of seeds) state = scramble(state ^ scramble(seed | 0))
    this.#state = state
  }

  /** Returns a number from 0 up to, but not including, 1. */
  next (): number {
    this.#state = (this.#state + 0x9e3779b9) | 0
    return (scramble(this.#state) >>> 0) / 4_294_967_296
  }

  /** Returns a whole number from `least` to `most`. */
  integer (least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  /** Returns a whole number from `least` to `most`, evenly over the orders of magnitude. */
  skewed (least: number, most: number): number {
    return Math.floor((least + 1) * ((most + 1) / (least + 1)) ** this.next()) - 1
  }

  chance (probability: number): boolean {
    return this.next() < probability
  }

  pick<Item> (items: readonly Item[]): Item {
    return items[Math.floor(this.next() * items.length)]!
  }

  /** Picks a name by its weight. */
  weighted<Name extends string> (weights: Readonly<Record<Name, number>>): Name {
    const names = Object.keys(weights) as Name[]
    let at = this.next() * names.reduce((sum, name) => sum + weights[name], 0)
    for (const name of names) {
      at -= weights[name]
      if (at < 0) return name
    }
    return names.at(-1)!
  }
}

/** Spreads every bit of a 32-bit number over all of them. */
function scramble (value: number): number {
  let mixed = value
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x7feb352d)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b)
  return mixed ^ (mixed >>> 16)
}
