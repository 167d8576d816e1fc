import { defaults } from '../schemas/defaults.ts'

/** Something with frames to write. */
export interface Flushable {
  /** Whether it is in the scheduler's list; kept by the scheduler. */
  scheduled: boolean
  /** Writes what it can. Must not throw. */
  flush: (now: number) => void
}

/**
 * Flushes, once the present turn of the event loop has run, everything that got
 * frames in it: all frames of one turn leave in one write. Many streams are
 * flushed in slices, so that requests get their turn in between.
 */
export class FlushScheduler {
  /** Runs when everything that was scheduled has been flushed. */
  readonly #onIdle: () => void
  #current: Flushable[] = []
  #position = 0
  #next: Flushable[] = []
  #immediate: NodeJS.Immediate | null = null

  constructor (onIdle: () => void) {
    this.#onIdle = onIdle
  }

  schedule (stream: Flushable): void {
    if (stream.scheduled) return
    stream.scheduled = true
    this.#next.push(stream)
    this.#immediate ??= setImmediate(this.#slice)
  }

  readonly #slice = (): void => {
    const start = performance.now()
    if (this.#position === this.#current.length) {
      this.#current = this.#next
      this.#next = []
      this.#position = 0
    }
    const current = this.#current
    while (this.#position < current.length) {
      const stream = current[this.#position++]!
      stream.scheduled = false
      stream.flush(start)
      if ((this.#position & 15) === 0 && performance.now() - start > defaults.fixed.flushSliceMs) break
    }
    if (this.#position === current.length) this.#current = []
    if (this.#current.length === 0 && this.#next.length === 0) {
      this.#position = 0
      this.#immediate = null
      this.#onIdle()
    } else {
      if (this.#current.length === 0) this.#position = 0
      this.#immediate = setImmediate(this.#slice)
    }
  }
}
