/** Has frames to write. */
export interface Flushable {
  /** Whether it is in the scheduler's list; kept by the scheduler. */
  scheduled: boolean
  /** Writes what it can, until the time `until`. Returns false if it needs another slice. Must not throw. */
  flush: (now: number, until: number) => boolean
}
