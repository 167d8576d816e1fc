/** One kind of deadline. */
export interface DeadlineRow<Owner> {
  /** When it is due, on the clock of `performance.now()`; `Infinity` while nothing waits for it. */
  readonly at: (owner: Owner) => number
  /** Called once it is due. It must change the time that `at` returns, or the owner wakes every millisecond. */
  readonly act: (owner: Owner, now: number) => void
}

/**
 * All deadlines of one kind of owner. One row holds both the time and the action of a deadline,
 * so that the two cannot differ. One table serves all owners of a kind.
 */
export class DeadlineTable<Owner> {
  readonly #rows: ReadonlyArray<DeadlineRow<Owner>>

  /** @param rows by their names, in the order of their actions; a row's time is read after the rows before it have acted */
  constructor (rows: Readonly<Record<string, DeadlineRow<Owner>>>) {
    this.#rows = Object.values(rows)
  }

  /** Time of the earliest deadline; `Infinity` for none. */
  next (owner: Owner): number {
    let earliest = Infinity
    for (const { at } of this.#rows) earliest = Math.min(earliest, at(owner))
    return earliest
  }

  /** Acts on all due deadlines. */
  run (owner: Owner, now: number): void {
    for (const { at, act } of this.#rows) {
      if (now >= at(owner)) act(owner, now)
    }
  }
}
