import type { Frame } from '../protocol/frame.ts'

/** A holder of memory that the budget counts. */
export interface Holder {
  /** Its share of the held memory; the holders of a shared update have equal parts of it. */
  readonly heldWeight: number
  /** Drops its oldest updates until its share is at most `weight`. */
  shed: (weight: number) => void
  /** Drops an update that passes alone, because the next such update came. */
  letGo: (frame: Frame) => void
}
