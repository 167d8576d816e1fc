import { Figures } from './figures.ts'
import type { UpdateTally } from './update-tally.ts'

/** Figures of one session or transport, of one URL, or of all. A parent counts them too. */
export class Counters extends Figures {
  readonly #parent: Counters | null
  readonly #tally: UpdateTally | null

  /**
   * @param parent the counters of its URL, or of all sessions and transports; null for none
   * @param tally default that of the parent
   */
  constructor (parent: Counters | null = null, tally: UpdateTally | null = parent === null ? null : parent.#tally) {
    super()
    this.#parent = parent
    this.#tally = tally
  }

  /** Counts the updates of its URL by name, while somebody wants to know; null for nobody, and where there is no contract. */
  get tally (): UpdateTally | null {
    return this.#tally?.isOn === true ? this.#tally : null
  }

  add (name: Exclude<keyof Figures, 'queueHighWater'>, count = 1): void {
    this[name] += count
    this.#parent?.add(name, count)
  }

  // Writes have a method of their own: `add` takes several times as long.
  addWrite (bytes: number): void {
    this.writes++
    this.bytesWritten += bytes
    this.#parent?.addWrite(bytes)
  }

  addFrames (count: number): void {
    this.framesWritten += count
    this.#parent?.addFrames(count)
  }

  /** Counts writes for many readers at once. */
  addWrites (writes: number, frames: number, bytes: number): void {
    this.writes += writes
    this.framesWritten += frames
    this.bytesWritten += bytes
    this.#parent?.addWrites(writes, frames, bytes)
  }

  /** Adds writes that only the parent has counted so far. */
  adopt (writes: number, bytes: number): void {
    this.writes += writes
    this.bytesWritten += bytes
  }

  /** Adds writes that only the counters of all have counted so far. */
  adoptFromAll (writes: number, bytes: number): void {
    if (this.#parent === null) return
    this.adopt(writes, bytes)
    this.#parent.adoptFromAll(writes, bytes)
  }

  /** Adds updates that only the parent has counted so far. */
  adoptUpdates (written: number, conflated: number, highWater: number): void {
    this.framesWritten += written
    this.conflated += conflated
    if (highWater > this.queueHighWater) this.queueHighWater = highWater
  }

  /** Records the number of updates that wait in one session now. */
  raiseHighWater (waiting: number): void {
    if (waiting <= this.queueHighWater) return
    this.queueHighWater = waiting
    this.#parent?.raiseHighWater(waiting)
  }
}

/**
 * A copy of the figures as they are now.
 *
 * @param stallMs milliseconds of present stalls, which are not counted yet
 */
export function snapshot (counters: Figures, stallMs: number): Figures {
  return { ...counters, stalledMs: Math.round(counters.stalledMs + stallMs) }
}
