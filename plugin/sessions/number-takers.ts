import { defaults } from '../../schemas/defaults.ts'

/** A change of the sender. */
export interface NumberTurn {
  /** Null for a sender without a name. */
  readonly sender: string | null
  /** The first number that it took. */
  readonly from: number
}

/**
 * Remembers which sender took which numbers of a session's events. A browser or proxy may repeat a POST after its
 * connection broke without an answer. A number taken by the same sender is such a repeat; one taken by another sender is not.
 */
export class NumberTakers {
  /** Changes of the sender, oldest first; each with the first number that the sender took. */
  readonly #turns: NumberTurn[]

  /** @param turns those of another node */
  constructor (turns: readonly NumberTurn[] = []) {
    this.#turns = turns.slice(-defaults.fixed.numberTurns)
  }

  get turns (): readonly NumberTurn[] { return this.#turns }

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
