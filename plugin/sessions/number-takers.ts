import { defaults } from '../../schemas/defaults.ts'

/**
 * Who took the numbers of a session's events. Browsers and proxies may send a POST twice whose connection broke
 * before its answer came; so a number that its own sender took is told from one that another did.
 */
export class NumberTakers {
  /** By turns, oldest first: who took numbers, and from which on. */
  readonly #turns: Array<{ readonly sender: string | null, readonly from: number }> = []

  /** @param sender null for one that does not say who it is */
  note (sender: string | null, seq: number): void {
    if (this.#turns.at(-1)?.sender === sender) return
    this.#turns.push({ sender, from: seq })
    if (this.#turns.length > defaults.fixed.numberTurns) this.#turns.shift()
  }

  /** Whether that number was taken by that sender; false also where nobody knows any more. */
  wasTaken (sender: string, seq: number): boolean {
    return this.#turns.findLast(({ from }) => from <= seq)?.sender === sender
  }
}
