import process from 'node:process'

/** Shows the present step and the remaining time on standard error, in one line that is overwritten. */
export class Progress {
  readonly #steps: number
  readonly #startedAt = Date.now()
  /** Time when the run ends, finished or not. */
  readonly #endAt: number
  #done = 0

  constructor (steps: number, endAt = Number.POSITIVE_INFINITY) {
    this.#steps = steps
    this.#endAt = endAt
  }

  begin (step: string): void {
    const now = Date.now()
    const expectedMs = (now - this.#startedAt) / this.#done * (this.#steps - this.#done)
    const leftMs = Math.max(0, Math.min(this.#done === 0 ? Number.POSITIVE_INFINITY : expectedMs, this.#endAt - now))
    const left = leftMs === Number.POSITIVE_INFINITY ? '' : `, about ${formatSeconds(leftMs)} left`
    const text = `[${this.#done + 1}/${this.#steps}] ${step}${left}`
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}` : `${text}\n`)
  }

  end (): void {
    this.#done += 1
    if (this.#done === this.#steps && process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  }
}

function formatSeconds (milliseconds: number): string {
  const seconds = Math.ceil(milliseconds / 1000)
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}
