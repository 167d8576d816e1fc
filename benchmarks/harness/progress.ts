import process from 'node:process'

/** Says on standard error what runs and how long the rest will take, one line that is written over. */
export class Progress {
  readonly #steps: number
  readonly #startedAt = Date.now()
  #done = 0

  constructor (steps: number) {
    this.#steps = steps
  }

  begin (step: string): void {
    const left = this.#done === 0
      ? ''
      : `, about ${formatSeconds((Date.now() - this.#startedAt) / this.#done * (this.#steps - this.#done))} left`
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
