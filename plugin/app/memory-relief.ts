import type { ByteBudget } from '../delivery/byte-budget.ts'
import type { Holder } from '../delivery/holder.ts'

/** What is left after making room, so that not every frame from here on asks again. */
const enoughShare = 0.9

/** How often shares are worked out anew, since a part of an update is free only when all its holders let it go. */
const passes = 4

/**
 * Makes room when all together hold too much: those who hold most give first, down to a
 * level that is the same for all of them. Who holds less than that gives nothing.
 */
export class MemoryRelief {
  readonly #budget: ByteBudget
  readonly #holders: () => Iterable<Holder>
  #isRunning = false

  constructor (budget: ByteBudget, holders: () => Iterable<Holder>) {
    this.#budget = budget
    this.#holders = holders
  }

  run (): void {
    // Who sheds may lose a stream, and what listens to that may send.
    if (this.#isRunning) return
    this.#isRunning = true
    try {
      this.#leaveOneAlone()
      if (this.#budget.weight > this.#budget.limit) this.#level()
      this.#budget.shed()
    } finally {
      this.#isRunning = false
    }
  }

  #leaveOneAlone (): void {
    const before = this.#budget.alone.slice(0, -1)
    if (before.length === 0) return
    const holders = [...this.#holders()]
    for (const frame of before) {
      for (const holder of holders) {
        if (frame.holders === 0) break
        holder.letGo(frame)
      }
    }
  }

  #level (): void {
    const budget = this.#budget
    const enough = budget.limit * enoughShare
    for (let pass = 1; pass <= passes && budget.weight > (pass === passes ? budget.limit : enough); pass++) {
      const holders = [...this.#holders()].map((holder) => ({ holder, weight: holder.heldWeight })).sort((left, right) => right.weight - left.weight)
      const held = holders.reduce((sum, { weight }) => sum + weight, 0)
      // What nobody here can give counts first.
      const level = pass === passes ? 0 : levelOf(holders.map(({ weight }) => weight), held, enough - (budget.weight - held))
      for (const { holder, weight } of holders) {
        if (weight <= level || budget.weight <= enough) break
        holder.shed(level)
      }
    }
  }
}

/** To what the largest of the weights must come down so that all together are `room`. */
export function levelOf (descending: readonly number[], sum: number, room: number): number {
  let rest = sum
  for (const [index, weight] of descending.entries()) {
    rest -= weight
    const level = (room - rest) / (index + 1)
    if (level >= (descending[index + 1] ?? 0)) return Math.max(0, level)
  }
  return 0
}
