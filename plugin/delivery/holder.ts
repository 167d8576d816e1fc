import type { Frame } from '../protocol/frame.ts'

/** Somebody who holds memory of the budget. */
export interface Holder {
  /** Its share of what is held: of an update that several hold, each has a part. */
  readonly heldWeight: number
  /** Lets go of what it has held for longest, until its share is at most `weight`. */
  shed: (weight: number) => void
  /** Lets go of an update that passes alone, since the next one came. */
  letGo: (frame: Frame) => void
}
