import type { Clock } from '../cluster/hub/clock.ts'
import { Turns } from './turns.ts'

export interface DueWatchParts {
  readonly clock: Clock
  readonly limits: { readonly dueMs: number, readonly dueKeys: number, readonly dueWrites: number }
  /** Whether this node may take sessions over now. */
  readonly mayAct: () => boolean
  /** Refs of sessions whose time is over, the earliest first. */
  readonly due: (limit: number) => Promise<readonly string[]>
  /** Ends one of them. Gives false for one that is not for this node. */
  readonly end: (ref: string) => Promise<boolean>
}

/** Looks in the engine for sessions whose time is over. All nodes do; the first that takes a session ends it. */
export class DueWatch {
  readonly #parts: DueWatchParts
  readonly #turns: Turns
  #timer: unknown
  #isStopped = false
  /** Keys at the front that are not for this node. */
  #passed = 0

  constructor (parts: DueWatchParts) {
    this.#parts = parts
    this.#turns = new Turns(parts.limits.dueWrites)
  }

  start (): void {
    const { clock, limits: { dueMs } } = this.#parts
    if (this.#isStopped) return
    // Nodes that look at the same time would be after the same sessions.
    this.#timer = clock.setTimeout(() => {
      this.#look().catch(() => {}).then(() => { this.start() })
    }, dueMs * (0.5 + Math.random()))
  }

  stop (): void {
    this.#isStopped = true
    this.#parts.clock.clearTimeout(this.#timer)
  }

  async #look (): Promise<void> {
    const { limits: { dueKeys }, mayAct, due, end } = this.#parts
    for (;;) {
      if (this.#isStopped || !mayAct()) return
      const limit = dueKeys + Math.min(this.#passed, 15 * dueKeys)
      const refs = await due(limit)
      const ended = await Promise.all(refs.map((ref) => this.#turns.run(async () => !this.#isStopped && mayAct() && await end(ref))))
      const count = ended.filter(Boolean).length
      this.#passed = refs.length - count
      if (refs.length < limit || count === 0) return
    }
  }
}
