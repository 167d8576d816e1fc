import type { Frame } from '../protocol/frame.ts'

/** Holds memory of the budget. */
export interface Holder {
  /** Its share of the held memory; the holders of a shared update have equal parts of it. */
  readonly heldWeight: number
  /** Drops its oldest updates until its share is at most `weight`. */
  shed: (weight: number) => void
  /** Drops an update that passes alone, since the next one came. */
  letGo: (frame: Frame) => void
}
