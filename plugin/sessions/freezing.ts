import type { FreezeOptions, SessionSnapshot } from './snapshot.ts'

/** Turns of the event loop that commands beyond the deadline get, one after another, once the session can no longer stay. */
const lateTurns = 64

/** What a freeze does to its session. */
export interface FreezeSteps {
  readonly session: {
    readonly isOpen: boolean
    readonly inbox: {
      readonly isIdle: boolean
      whenIdle: (call: (() => void) | null) => void
      abandon: (afterMs: number) => void
    }
  }
  /** Throws if its state cannot move. */
  keepState: () => string | null
  /** Ends its stream, and queues its last hooks. */
  leaveNode: () => void
  /**
   * Becomes a snapshot, in one synchronous step; null if it has closed.
   *
   * @param state as it was kept before the last hooks
   */
  takeOut: (state: string | null) => SessionSnapshot | null
}

/**
 * A session's way out of its node.
 *
 * ```
 * commands run  ──▶ the channel is empty ──▶ leaveNode ──▶ the last hooks run ──▶ takeOut
 * └ up to here the session may stay ────────┘ └ `isCertain` ────────────────────────────┘
 * ```
 */
export class Freezing {
  /** Whether the session can no longer stay. */
  isCertain = false
  readonly #steps: FreezeSteps
  readonly #options: FreezeOptions
  #isCancelled = false
  #wake: (() => void) | null = null

  constructor (steps: FreezeSteps, options: FreezeOptions) {
    this.#steps = steps
    this.#options = options
  }

  /** The session stays: its client came back, or it closes. */
  cancel (): void {
    this.#isCancelled = true
    this.#wake?.()
  }

  /** @returns null if the session stays. Rejects with an error of `keepState`; then it stays, too. */
  async run (): Promise<SessionSnapshot | null> {
    const { deadlineMs } = this.#options
    const { session, ...steps } = this.#steps
    const { inbox } = session
    const until = performance.now() + deadlineMs
    // Whoever calls may be in the midst of something.
    await null
    let state: string | null
    for (;;) {
      if (this.#isCancelled || !session.isOpen) return null
      if (inbox.isIdle) {
        state = steps.keepState()
        // The application's `serialize` may do anything.
        if (inbox.isIdle && !this.#isCancelled && session.isOpen) break
      }
      const leftMs = until - performance.now()
      if (leftMs <= 0) return null
      await this.#whenIdle(leftMs)
    }
    this.isCertain = true
    steps.leaveNode()
    for (let late = 0; !inbox.isIdle && late < lateTurns;) {
      const leftMs = until - performance.now()
      if (leftMs > 0) {
        await this.#whenIdle(leftMs)
        continue
      }
      late++
      inbox.abandon(deadlineMs)
      await new Promise(setImmediate)
    }
    return steps.takeOut(state)
  }

  #whenIdle (withinMs: number): Promise<void> {
    const { inbox } = this.#steps.session
    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(timer)
        inbox.whenIdle(null)
        this.#wake = null
        resolve()
      }
      const timer = setTimeout(settle, withinMs)
      this.#wake = settle
      inbox.whenIdle(settle)
    })
  }
}
