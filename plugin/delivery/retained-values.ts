import type { Frame } from '../protocol/frame.ts'
import type { ByteBudget } from './byte-budget.ts'
import type { Holder } from './holder.ts'

/** The retained values of one topic: the newest of each key. */
export class Shelf {
  /** By key, the least recently published first. */
  readonly frames = new Map<string, Frame>()
  /** Whether a producer keeps them up to date. */
  isProduced = false
  /** Bytes of memory. */
  weight = 0
  /** Called when its last value is forgotten. */
  readonly onEmptied: () => void

  constructor (onEmptied: () => void) {
    this.onEmptied = onEmptied
  }
}

/**
 * The retained values of all topics of one endpoint, within a number of bytes. Beyond it, the value that was published
 * least recently goes, those of topics with a producer last.
 */
export class RetainedValues implements Holder {
  readonly #budget: ByteBudget
  readonly #mostBytes: number
  /** Values of topics without a producer, the least recently published first. */
  readonly #loose = new Map<Frame, Shelf>()
  /** The same for topics with a producer. */
  readonly #produced = new Map<Frame, Shelf>()
  #weight = 0

  /** @param mostBytes most bytes of memory; 0 for none */
  constructor (budget: ByteBudget, mostBytes: number) {
    this.#budget = budget
    this.#mostBytes = mostBytes
    budget.others.add(this)
  }

  /** Number of values. */
  get size (): number { return this.#loose.size + this.#produced.size }
  /** Bytes of memory. */
  get weight (): number { return this.#weight }

  /**
   * Retains a value in place of the earlier one of its key.
   *
   * @param most most values of this shelf; the least recently published goes first
   */
  put (shelf: Shelf, frame: Frame, most: number): void {
    const { key } = frame
    if (key === null) return
    const earlier = shelf.frames.get(key)
    if (earlier !== undefined) this.#take(shelf, earlier)
    if (frame.weight <= this.#mostBytes && most > 0) {
      shelf.frames.set(key, frame)
      shelf.weight += frame.weight
      this.#orderOf(shelf).set(frame, shelf)
      this.#weight += frame.weight
      this.#budget.hold(frame)
      while (shelf.frames.size > most) this.#take(shelf, oldest(shelf.frames.values()))
      while (this.#weight > this.#mostBytes) this.#forgetOldest()
    }
    if (earlier !== undefined && shelf.frames.size === 0) shelf.onEmptied()
    if (this.#budget.isExceeded) this.#budget.onExceeded()
  }

  /** Says whether a producer keeps the values of a shelf up to date. */
  setProduced (shelf: Shelf, isProduced: boolean): void {
    if (shelf.isProduced === isProduced) return
    for (const frame of shelf.frames.values()) this.#orderOf(shelf).delete(frame)
    shelf.isProduced = isProduced
    for (const frame of shelf.frames.values()) this.#orderOf(shelf).set(frame, shelf)
  }

  /** Forgets all values of a shelf. Its owner is not told. */
  clear (shelf: Shelf): void {
    for (const frame of [...shelf.frames.values()]) this.#take(shelf, frame)
  }

  #orderOf ({ isProduced }: Shelf): Map<Frame, Shelf> {
    return isProduced ? this.#produced : this.#loose
  }

  #take (shelf: Shelf, frame: Frame): void {
    shelf.frames.delete(frame.key!)
    shelf.weight -= frame.weight
    this.#orderOf(shelf).delete(frame)
    this.#weight -= frame.weight
    this.#budget.release(frame)
  }

  #forgetOldest (): void {
    const order = this.#loose.size > 0 ? this.#loose : this.#produced
    this.#forget(oldest(order.keys()))
  }

  #forget (frame: Frame): void {
    const shelf = this.#loose.get(frame) ?? this.#produced.get(frame)
    if (shelf === undefined) return
    this.#take(shelf, frame)
    if (shelf.frames.size === 0) shelf.onEmptied()
  }

  // The budget

  get heldWeight (): number {
    let weight = 0
    for (const order of [this.#loose, this.#produced]) for (const frame of order.keys()) weight += this.#budget.shareOf(frame)
    return weight
  }

  shed (weight: number): void {
    let held = this.heldWeight
    while (held > weight && this.size > 0) {
      const frame = oldest((this.#loose.size > 0 ? this.#loose : this.#produced).keys())
      held -= this.#budget.shareOf(frame)
      this.#forget(frame)
    }
  }

  letGo (frame: Frame): void {
    this.#forget(frame)
  }
}

function oldest (frames: Iterator<Frame>): Frame {
  return frames.next().value as Frame
}
