import type { ByteBudget } from '../delivery/byte-budget.ts'
import type { Holder } from '../delivery/holder.ts'

/** The share of the limit that is left after relief, so that the next frame does not exceed it again. */
const enoughShare = 0.9

/** How often the level is computed again: a shared update is freed only when all its holders release it. */
const passes = 4

/**
 * Frees memory when all holders together exceed the limit. The largest holders shed first, down
 * to one level for all. A holder below that level sheds nothing.
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
    // A holder that sheds may lose its stream, and a listener for that loss may send.
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
      // Memory that none of these holders can release comes off the budget first.
      const level = pass === passes ? 0 : levelOf(holders.map(({ weight }) => weight), held, enough - (budget.weight - held))
      for (const { holder, weight } of holders) {
        if (weight <= level || budget.weight <= enough) break
        holder.shed(level)
      }
    }
  }
}

/** The level that the largest weights must come down to so that the sum of all is `room`. */
export function levelOf (descending: readonly number[], sum: number, room: number): number {
  let rest = sum
  for (const [index, weight] of descending.entries()) {
    rest -= weight
    const level = (room - rest) / (index + 1)
    if (level >= (descending[index + 1] ?? 0)) return Math.max(0, level)
  }
  return 0
}
