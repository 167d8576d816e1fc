import { defaults } from '../../schemas/defaults.ts'

/**
 * Remembers which sender took which numbers of a session's events. A browser or proxy may repeat a POST after its
 * connection broke without an answer. A number taken by the same sender is such a repeat; one taken by another sender is not.
 */
export class NumberTakers {
  /** Changes of the sender, oldest first; each with the first number that the sender took. */
  readonly #turns: Array<{ readonly sender: string | null, readonly from: number }> = []

  /** @param sender null for a sender without a name */
  note (sender: string | null, seq: number): void {
    if (this.#turns.at(-1)?.sender === sender) return
    this.#turns.push({ sender, from: seq })
    if (this.#turns.length > defaults.fixed.numberTurns) this.#turns.shift()
  }

  /** Whether a sender took a number; false also if that is forgotten. */
  wasTaken (sender: string, seq: number): boolean {
    return this.#turns.findLast(({ from }) => from <= seq)?.sender === sender
  }
}
