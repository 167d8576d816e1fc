/** The time and the turns of an engine. A simulation has its own. */
export interface Clock {
  /** Milliseconds that never go back. */
  readonly now: () => number
  readonly setTimeout: (run: () => void, ms: number) => unknown
  readonly clearTimeout: (timer: unknown) => void
  /** Runs a function in a later turn, after what was deferred before. */
  readonly defer: (run: () => void) => void
}

/** The wall clock's time at the start of the process, and the time since: comparable between processes of one machine. */
export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (timer) => { clearTimeout(timer as NodeJS.Timeout) },
  defer: (run) => { setImmediate(run) }
}
