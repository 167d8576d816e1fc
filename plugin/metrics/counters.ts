import { Figures } from './figures.ts'

/** Figures of one session or transport. A parent counts them too. */
export class Counters extends Figures {
  readonly #parent: Counters | null

  /** @param parent counters of all sessions and transports; null for none */
  constructor (parent: Counters | null = null) {
    super()
    this.#parent = parent
  }

  add (name: Exclude<keyof Figures, 'queueHighWater'>, count = 1): void {
    this[name] += count
    if (this.#parent !== null) this.#parent[name] += count
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
