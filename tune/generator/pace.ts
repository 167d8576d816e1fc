import { performance } from 'node:perf_hooks'
import { randomFrom } from '../statistics/random.ts'

/**
 * Times at which requests are due, whatever became of the ones before: an open model. Each falls at a random place within
 * its own slot, so that requests are neither in step with the server's timers nor in bunches.
 */
export class Pace {
  readonly #slotMs: number
  readonly #random: () => number
  readonly #send: (intendedAt: number) => void
  #slotAt: number
  #dueAt: number
  #timer: NodeJS.Timeout | null = null

  /** @param send sends a request that was due at a time on the clock of `performance.now()` */
  constructor (perSecond: number, send: (intendedAt: number) => void, seed = 1) {
    this.#slotMs = 1_000 / perSecond
    this.#random = randomFrom(seed)
    this.#send = send
    this.#slotAt = performance.now()
    this.#dueAt = this.#slotAt + this.#random() * this.#slotMs
    this.#wait()
  }

  #wait (): void {
    this.#timer = setTimeout(() => this.#run(), Math.max(1, this.#dueAt - performance.now()))
  }

  #run (): void {
    const now = performance.now()
    while (this.#dueAt <= now && this.#timer !== null) {
      const dueAt = this.#dueAt
      this.#slotAt += this.#slotMs
      this.#dueAt = this.#slotAt + this.#random() * this.#slotMs
      this.#send(dueAt)
    }
    if (this.#timer !== null) this.#wait()
  }

  stop (): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}
