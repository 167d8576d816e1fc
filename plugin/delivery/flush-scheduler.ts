import type { Limits } from '../../schemas/limits.ts'
import { systemTime, type TimeSource } from '../../schemas/time-source.ts'
import { BroadcastQueue } from './broadcast-queue.ts'
import type { ByteBudget } from './byte-budget.ts'
import { Cohort } from './cohort.ts'
import type { Flushable } from './flushable.ts'

/**
 * After each turn of the event loop, delivers its broadcasts and flushes all streams that got
 * frames, so that all frames of one turn leave in one write. It serves many members and streams
 * in slices, so that requests get their turn in between.
 */
export class FlushScheduler {
  readonly broadcasts: BroadcastQueue
  readonly #sliceMs: number
  readonly #time: TimeSource
  /** Called when everything is delivered and flushed. */
  readonly #onIdle: () => void
  #current: Flushable[] = []
  #position = 0
  #next: Flushable[] = []
  #immediate: NodeJS.Immediate | null = null

  constructor (budget: ByteBudget, limits: Limits, onIdle: () => void, time: TimeSource = systemTime) {
    this.#time = time
    this.#sliceMs = limits.flushSliceMs
    this.#onIdle = onIdle
    this.broadcasts = new BroadcastQueue(budget, this, limits, time)
  }

  /** Whether everything is delivered and flushed. */
  get isIdle (): boolean { return this.#immediate === null }

  /** Schedules a slice, if none is scheduled. */
  wake (): void {
    this.#immediate ??= setImmediate(this.#slice)
  }

  schedule (stream: Flushable): void {
    if (stream.scheduled) return
    stream.scheduled = true
    this.#next.push(stream)
    this.wake()
  }

  readonly #slice = (): void => {
    const start = this.#time.now()
    const until = start + this.#sliceMs
    // `#immediate` stays set during the slice, so that a `wake` within it starts no other slice.
    // What an earlier slice left comes first: members of a cohort come into step only between two rounds.
    const isReady = this.#position === this.#current.length || this.#flush(start, until)
    const isDelivered = isReady && this.broadcasts.deliver(start, until)
    const isFlushed = isReady && this.#flush(start, until)
    this.#immediate = null
    if (!isDelivered || !isFlushed || !this.broadcasts.isEmpty) this.wake()
    else this.#onIdle()
  }

  /** Returns whether nothing is left. */
  #flush (start: number, until: number): boolean {
    if (this.#position === this.#current.length) {
      this.#current = this.#next
      this.#next = []
      this.#position = 0
    }
    const current = this.#current
    while (this.#position < current.length) {
      const stream = current[this.#position]!
      stream.scheduled = false
      if (!stream.flush(start, until)) {
        stream.scheduled = true
        return false
      }
      if (((++this.#position & 15) === 0 || stream instanceof Cohort) && this.#time.now() > until) break
    }
    if (this.#position < current.length) return false
    this.#current = []
    this.#position = 0
    return this.#next.length === 0
  }
}
