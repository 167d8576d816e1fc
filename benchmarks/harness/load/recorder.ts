import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { latencyOf, type Latency } from '../report/latency.ts'

export interface LoadReading {
  /** Length of all measured windows: all connections are open, and none has ended. */
  readonly seconds: number
  /** Answers with 2xx in those windows. */
  readonly accepted: number
  /** Answers with 429 in those windows. */
  readonly busy: number
  /** Answers by status, in the windows and outside of them. */
  readonly statuses: Readonly<Record<string, number>>
  /** Requests without an answer, of all parts that ran together: a broken connection does not show its part. */
  readonly errors: number
  /** Latency of the accepted requests in the windows; autocannon's own figures are whole milliseconds. */
  readonly latency: Latency
}

/** A span of time on the clock of `performance.now()`. */
export interface Window {
  from: number
  to: number
}

/** Records the answers to one part of the load, over one window or several. */
export class Recorder {
  readonly #statuses: Record<string, number> = {}
  /** In microseconds. */
  readonly #latencies: RecordableHistogram = createHistogram({ figures: 3 })
  #accepted = 0
  #busy = 0
  #seconds = 0
  #errors = 0

  record (status: number, milliseconds: number, isInWindow: boolean): void {
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1
    if (!isInWindow) return
    if (status === 429) this.#busy += 1
    if (!isAccepted(status)) return
    this.#accepted += 1
    this.#latencies.record(Math.max(1, Math.round(milliseconds * 1000)))
  }

  close ({ from, to }: Window, errors: number): void {
    this.#seconds += (to - from) / 1000
    this.#errors += errors
  }

  reading (): LoadReading {
    return {
      seconds: this.#seconds,
      accepted: this.#accepted,
      busy: this.#busy,
      statuses: this.#statuses,
      errors: this.#errors,
      latency: latencyOf(this.#latencies)
    }
  }
}

export function isAccepted (status: number): boolean {
  return status >= 200 && status <= 299
}

export function countStatuses (statuses: Readonly<Record<string, number>>, matches: (status: number) => boolean): number {
  return Object.entries(statuses).reduce((sum, [status, count]) => matches(Number(status)) ? sum + count : sum, 0)
}

/** Answers that neither accepted the event nor asked to wait, in the windows and outside of them. */
export function refusedOf ({ statuses }: LoadReading): number {
  return countStatuses(statuses, (status) => !isAccepted(status) && status !== 429)
}
