import type { TimeSource } from '../../../schemas/time-source.ts'

interface Timer {
  readonly run: () => void
  readonly at: number
}

/** A time that stands still until a test moves it. */
export class ManualTime implements TimeSource {
  // Sessions keep times in fields where 0 means none.
  #now = 1_000_000
  readonly #timers = new Set<Timer>()

  readonly now = (): number => this.#now

  readonly wake = (run: () => void, at: number): Timer => {
    const timer = { run, at: Math.max(at, this.#now + 1) }
    this.#timers.add(timer)
    return timer
  }

  readonly cancel = (timer: unknown): void => {
    this.#timers.delete(timer as Timer)
  }

  /** Moves to the earliest timer and runs it, or to `until` if no timer is due by then. Returns whether a timer ran. */
  step (until: number): boolean {
    let earliest: Timer | null = null
    for (const timer of this.#timers) if (timer.at <= until && timer.at < (earliest?.at ?? Infinity)) earliest = timer
    this.#now = earliest?.at ?? until
    if (earliest === null) return false
    this.#timers.delete(earliest)
    earliest.run()
    return true
  }
}
