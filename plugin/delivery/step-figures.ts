import type { Counters } from '../metrics/counters.ts'

/** Running totals of a cohort's rounds. */
export interface RoundTotals {
  /** Number in the log of the next frame. */
  readonly position: number
  readonly rounds: number
  /** Bytes of all rounds, without `id:` lines. */
  readonly bytes: number
  /** Frames that replaced a waiting one in the log. */
  readonly conflated: number
}

/** Most frames that waited for a round. */
interface Peak {
  readonly round: number
  readonly waiting: number
}

/**
 * The figures of members in step. A round changes one set of totals for all members. A member's own figures are the
 * difference to the totals at its last settlement.
 */
export class StepFigures {
  readonly #positions: number[] = []
  readonly #rounds: number[] = []
  readonly #bytes: number[] = []
  readonly #conflated: number[] = []
  /** Later rounds are higher up, with fewer frames each. */
  readonly #peaks: Peak[] = []

  /** Adds a member behind the others. */
  push ({ position, rounds, bytes, conflated }: RoundTotals): void {
    this.#positions.push(position)
    this.#rounds.push(rounds)
    this.#bytes.push(bytes)
    this.#conflated.push(conflated)
  }

  /** Puts the figures of the member at `from` in the place `to`. */
  move (from: number, to: number): void {
    this.#positions[to] = this.#positions[from]!
    this.#rounds[to] = this.#rounds[from]!
    this.#bytes[to] = this.#bytes[from]!
    this.#conflated[to] = this.#conflated[from]!
  }

  /** Removes the last member. */
  pop (): void {
    this.#positions.pop()
    this.#rounds.pop()
    this.#bytes.pop()
    this.#conflated.pop()
    if (this.#positions.length === 0) this.#peaks.length = 0
  }

  /** Notes how many frames wait for a round. */
  note (round: number, waiting: number): void {
    const peaks = this.#peaks
    while (peaks.length > 0 && peaks.at(-1)!.waiting <= waiting) peaks.pop()
    peaks.push({ round, waiting })
  }

  /**
   * Adds a member's figures since the last settlement to its counters.
   *
   * @param totals at the member's own position
   * @param idBytes bytes of the `id:` lines from one position to another
   */
  settle (place: number, totals: RoundTotals, counters: Counters, idBytes: (from: number, to: number) => number): void {
    const position = this.#positions[place]!
    const rounds = this.#rounds[place]!
    counters.adopt(totals.rounds - rounds, totals.bytes - this.#bytes[place]! + idBytes(position, totals.position))
    counters.adoptUpdates(totals.position - position, totals.conflated - this.#conflated[place]!, this.#peakSince(rounds, totals.rounds + 1))
    this.#positions[place] = totals.position
    this.#rounds[place] = totals.rounds
    this.#bytes[place] = totals.bytes
    this.#conflated[place] = totals.conflated
  }

  #peakSince (after: number, through: number): number {
    const peak = this.#peaks.find(({ round }) => round > after)
    return peak !== undefined && peak.round <= through ? peak.waiting : 0
  }
}
