import { createHistogram, performance, type RecordableHistogram } from 'node:perf_hooks'

export interface LoadReading {
  /** Of all measured windows: all connections are up, none has ended yet. */
  readonly seconds: number
  /** Answers with 2xx in those windows. */
  readonly accepted: number
  /** Answers by status, in the windows and around them. */
  readonly statuses: Record<string, number>
  readonly errors: number
  /** Of those in the windows; autocannon's own figures are whole milliseconds. */
  readonly latencyMs: { readonly p50: number, readonly p99: number, readonly maximum: number }
}

/** Takes autocannon's answers as they come in, over many slices; times are in milliseconds on the clock of `performance.now()`. */
export class Recorder {
  errors = 0
  readonly #statuses: Record<string, number> = {}
  /** In microseconds. */
  readonly #latencies: RecordableHistogram = createHistogram({ figures: 3 })
  #from = 0
  #to = 0
  #accepted = 0
  #measuredMs = 0
  #firstAt = 0
  #lastAt = 0

  openWindow (from: number, seconds: number): void {
    this.#measuredMs += this.#lastAt - this.#firstAt
    this.#from = from
    this.#to = from + seconds * 1000
    this.#firstAt = 0
    this.#lastAt = 0
  }

  readonly record = (client: unknown, status: number, bytes: number, milliseconds: number): void => {
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1
    const now = performance.now()
    if (status < 200 || status > 299 || now < this.#from || now > this.#to) return
    if (this.#firstAt === 0) this.#firstAt = now
    this.#lastAt = now
    this.#accepted += 1
    this.#latencies.record(Math.max(1, Math.round(milliseconds * 1000)))
  }

  reading (): LoadReading {
    return {
      seconds: (this.#measuredMs + this.#lastAt - this.#firstAt) / 1000,
      accepted: this.#accepted,
      statuses: this.#statuses,
      errors: this.errors,
      latencyMs: {
        p50: this.#latencies.percentile(50) / 1000,
        p99: this.#latencies.percentile(99) / 1000,
        maximum: this.#latencies.max / 1000
      }
    }
  }
}
