import { performance } from 'node:perf_hooks'
import { createHistogram, encode, record } from '../statistics/histogram.ts'
import type { Flow } from '../statistics/little.ts'
import type { Answered } from './link.ts'

/** Code of a 429 that says that a command channel is full. Any other comes from something before it, a rate limit for example. */
const busyCode = 'FST_ERR_TETHER_BUSY'

/** What became of the requests that were due in a window. */
export interface WindowReading {
  readonly seconds: number
  readonly due: number
  /** Answers with 2xx, by the end of the window, also to requests from before. */
  readonly accepted: number
  /** Requests of the window by their outcome: `busy` where a command channel was full; those without an answer in time are in `missing`. */
  readonly busy: number
  readonly refused: number
  readonly failed: number
  readonly missing: number
  /** From the intended time to the answer, of answers with 2xx and of missing ones; compressed histogram of microseconds. */
  readonly latency: string
  /** From the intended time to the sending. */
  readonly lag: string
  /** The statuses that occurred. */
  readonly statuses: Readonly<Record<string, number>>
  readonly flow: Flow
}

/** Records the requests that become due from now on, until it is closed. */
export class Window {
  readonly #latency = createHistogram()
  readonly #lag = createHistogram()
  readonly #statuses: Record<string, number> = {}
  readonly #startedAt = performance.now()
  readonly #unanswered = new Set<number>()
  #endedAt = 0
  #due = 0
  #accepted = 0
  #present = 0
  #presence = 0
  #changedAt = this.#startedAt
  #answered = 0
  #answeredMs = 0
  #busy = 0

  /** A request that was due at `intendedAt` is sent now. Returns what to call with the status of its answer. */
  begin (intendedAt: number): Answered {
    const sentAt = performance.now()
    // Requests of the same instant need different keys.
    let key = intendedAt
    while (this.#unanswered.has(key)) key += 1e-6
    this.#unanswered.add(key)
    this.#due += 1
    record(this.#lag, sentAt - intendedAt)
    this.#change(1)
    return (status, code) => {
      if (!this.#unanswered.delete(key)) return
      const now = performance.now()
      this.#statuses[status] = (this.#statuses[status] ?? 0) + 1
      if (status === 429 && code === busyCode) this.#busy += 1
      if (isAccepted(status)) record(this.#latency, now - intendedAt)
      if (this.#endedAt === 0) {
        this.#change(-1)
        this.#answered += 1
        this.#answeredMs += now - sentAt
      }
    }
  }

  /** An answer with 2xx came, to any request. */
  accept (): void {
    if (this.#endedAt === 0) this.#accepted += 1
  }

  #change (by: number): void {
    const now = performance.now()
    this.#presence += this.#present * (now - this.#changedAt)
    this.#present += by
    this.#changedAt = now
  }

  /** Ends the window: requests that become due later are not its own. */
  end (): void {
    this.#change(0)
    this.#endedAt = performance.now()
  }

  get isSettled (): boolean { return this.#unanswered.size === 0 }

  /** The reading. What has no answer yet counts as missing, with the time that it has waited. */
  read (): WindowReading {
    const now = performance.now()
    for (const intendedAt of this.#unanswered) record(this.#latency, now - intendedAt)
    const milliseconds = this.#endedAt - this.#startedAt
    const count = (matches: (status: number) => boolean): number => Object.entries(this.#statuses).reduce((sum, [status, times]) => matches(Number(status)) ? sum + times : sum, 0)
    return {
      seconds: milliseconds / 1_000,
      due: this.#due,
      accepted: this.#accepted,
      busy: this.#busy,
      refused: count((status) => status >= 300 && status < 500) - this.#busy,
      failed: count((status) => status >= 500 || status === 0),
      missing: this.#unanswered.size,
      latency: encode(this.#latency),
      lag: encode(this.#lag),
      statuses: this.#statuses,
      flow: {
        present: this.#presence / milliseconds,
        perSecond: this.#answered / milliseconds * 1_000,
        meanMs: this.#answered === 0 ? 0 : this.#answeredMs / this.#answered
      }
    }
  }
}

export function isAccepted (status: number): boolean {
  return status >= 200 && status < 300
}
