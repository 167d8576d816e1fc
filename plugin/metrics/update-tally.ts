/** Updates of one name, by what became of them. */
export interface UpdateCounts {
  /** Written to a client, replays included. */
  written: number
  /** Replaced by a newer one while they waited. */
  conflated: number
  /** Dropped over a limit, or lost in a cluster. */
  dropped: number
}

export type UpdateOutcome = keyof UpdateCounts

/** The label of all names beyond the limit. */
export const otherName = 'other'

const eventField = 'event: '
/** The event type that a browser gives to a frame without one. */
const unnamed = 'message'

/** Counts the updates of one URL by name, from the time on when somebody wants to know. */
export class UpdateTally {
  readonly #names: readonly string[]
  readonly #counts = new Map<string, UpdateCounts>()
  #most = 0

  /** @param names of the contract: each is there from the start, with 0 */
  constructor (names: readonly string[]) {
    this.#names = names
  }

  /** False while nobody wants to know; then callers count nothing. */
  get isOn (): boolean { return this.#most > 0 }

  /** Counts from now on, up to `most` names apart. A later call can only raise the number. */
  start (most: number): void {
    this.#most = Math.max(this.#most, most)
    for (const name of this.#names) this.#of(name)
  }

  /** @param text of the frame; topics and the like share the name before their parameters */
  add (text: string, outcome: UpdateOutcome, count = 1): void {
    this.#of(nameOf(text))[outcome] += count
  }

  [Symbol.iterator] (): IterableIterator<[string, Readonly<UpdateCounts>]> {
    return this.#counts.entries()
  }

  #of (name: string): UpdateCounts {
    let counts = this.#counts.get(name)
    if (counts !== undefined) return counts
    if (this.#counts.size >= this.#most && name !== otherName) return this.#of(otherName)
    counts = { written: 0, conflated: 0, dropped: 0 }
    this.#counts.set(name, counts)
    return counts
  }
}

function nameOf (text: string): string {
  if (!text.startsWith(eventField)) return unnamed
  const name = text.slice(eventField.length, text.indexOf('\n'))
  const parameters = name.indexOf('?')
  return parameters === -1 ? name : name.slice(0, parameters)
}
