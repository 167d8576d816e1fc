import { Figures } from './figures.ts'

/** Figures of one session or transport, which count in those of a parent too. */
export class Counters extends Figures {
  readonly #parent: Counters | null

  /** @param parent counts the same for all; null for none */
  constructor (parent: Counters | null = null) {
    super()
    this.#parent = parent
  }

  add (name: Exclude<keyof Figures, 'queueHighWater'>, count = 1): void {
    this[name] += count
    if (this.#parent !== null) this.#parent[name] += count
  }

  // A write is counted by names of its own: `add` takes several times as long.
  addWrite (bytes: number): void {
    this.writes++
    this.bytesWritten += bytes
    this.#parent?.addWrite(bytes)
  }

  addFrames (count: number): void {
    this.framesWritten += count
    this.#parent?.addFrames(count)
  }

  /** Takes over what the parent has counted before these counters were known. */
  adopt (writes: number, bytes: number): void {
    this.writes += writes
    this.bytesWritten += bytes
  }

  /** So many updates wait in one session now. */
  raiseHighWater (waiting: number): void {
    if (waiting <= this.queueHighWater) return
    this.queueHighWater = waiting
    this.#parent?.raiseHighWater(waiting)
  }
}

/**
 * A copy of the figures as they are now.
 *
 * @param stallMs of stalls that are not over, and so not counted yet
 */
export function snapshot (counters: Figures, stallMs: number): Figures {
  return { ...counters, stalledMs: Math.round(counters.stalledMs + stallMs) }
}
