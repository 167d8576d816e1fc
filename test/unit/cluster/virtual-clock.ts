import type { Clock } from '../../../plugin/cluster/hub/clock.ts'

/** Time that passes only when a test lets it pass. */
export class VirtualClock implements Clock {
  #now = 1_000_000
  #timers: Array<{ readonly at: number, readonly run: () => void }> = []
  readonly now = () => this.#now
  readonly setTimeout = (run: () => void, ms: number) => {
    const timer = { at: this.#now + ms, run }
    this.#timers.push(timer)
    return timer
  }

  readonly clearTimeout = (timer: unknown) => { this.#timers = this.#timers.filter((one) => one !== timer) }
  readonly defer = (run: () => void) => { this.setTimeout(run, 0) }
  get pending (): number { return this.#timers.length }

  async pass (ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      // What a timer began may set the next one.
      for (let turn = 0; turn < 16; turn++) await Promise.resolve()
      const next = this.#timers.reduce<{ at: number, run: () => void } | null>((first, timer) => timer.at <= end && (first === null || timer.at < first.at) ? timer : first, null)
      if (next === null) break
      this.clearTimeout(next)
      this.#now = Math.max(this.#now, next.at)
      next.run()
    }
    this.#now = end
  }
}
