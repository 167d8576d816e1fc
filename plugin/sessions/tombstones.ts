import { systemTime, type TimeSource } from '../../schemas/time-source.ts'

/** Remembers names for a time, and the latest ones up to a number. */
export class Tombstones {
  readonly #most: number
  readonly #time: TimeSource
  /** The end of each name's time; the oldest name first. */
  readonly #until = new Map<string, number>()

  constructor (most: number, time: TimeSource = systemTime) {
    this.#most = most
    this.#time = time
  }

  get size (): number { return this.#until.size }

  has (name: string): boolean {
    const until = this.#until.get(name)
    if (until === undefined) return false
    if (until > this.#time.now()) return true
    this.#until.delete(name)
    return false
  }

  /** @param forMs time to remember the name, in milliseconds; 0 for not at all */
  add (name: string, forMs: number): void {
    if (forMs === 0) return
    if (this.#until.size >= this.#most) {
      const oldest = this.#until.keys().next()
      if (oldest.done !== true) this.#until.delete(oldest.value)
    }
    this.#until.set(name, this.#time.now() + forMs)
  }
}
