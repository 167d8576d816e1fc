import { longestTimerMs } from './timer.ts'

/** The time of sessions and streams, with its only timer. A test may have its own. */
export interface TimeSource {
  /** Milliseconds that never go back, on the clock of `performance.now()`. */
  readonly now: () => number
  /** Calls `run` once, at the time `at` or a little later, and at least a millisecond from now. */
  readonly wake: (run: () => void, at: number) => unknown
  readonly cancel: (timer: unknown) => void
}

/** The time of the system. A server that only waits for it may exit. */
export const systemTime: TimeSource = {
  now: () => performance.now(),
  wake: (run, at) => setTimeout(run, Math.min(Math.max(Math.ceil(at - performance.now()), 1), longestTimerMs)).unref(),
  cancel: (timer) => { clearTimeout(timer as NodeJS.Timeout) }
}
