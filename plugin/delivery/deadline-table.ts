/** One kind of deadline. */
export interface DeadlineRow<Owner> {
  readonly name: string
  /** When it is due, on the clock of `performance.now()`; `Infinity` while nothing waits for it. */
  readonly at: (owner: Owner) => number
  /** Called once it is due. It must change what `at` gives, or the owner is woken every millisecond. */
  readonly act: (owner: Owner, now: number) => void
}

/**
 * All deadlines of one kind of owner: when each is due and what it does stand in one row,
 * so that the two cannot differ. One table serves all owners of a kind.
 */
export class DeadlineTable<Owner> {
  readonly #rows: ReadonlyArray<DeadlineRow<Owner>>

  /** @param rows in the order in which they act; each is asked for its time after those before it have acted */
  constructor (rows: ReadonlyArray<DeadlineRow<Owner>>) {
    this.#rows = rows
  }

  /** When the earliest is due; `Infinity` for none. */
  next (owner: Owner): number {
    let earliest = Infinity
    for (const { at } of this.#rows) earliest = Math.min(earliest, at(owner))
    return earliest
  }

  /** Acts on all that are due. */
  run (owner: Owner, now: number): void {
    for (const { at, act } of this.#rows) {
      if (now >= at(owner)) act(owner, now)
    }
  }
}
