/** Runs a number of tasks at a time; the others wait in their order. */
export class Turns {
  readonly #most: number
  #running = 0
  readonly #waiting: Array<() => void> = []

  constructor (most: number) {
    this.#most = most
  }

  async run<Result> (task: () => Promise<Result>): Promise<Result> {
    if (this.#running >= this.#most) await new Promise<void>((resolve) => { this.#waiting.push(resolve) })
    else this.#running++
    try {
      return await task()
    } finally {
      const next = this.#waiting.shift()
      // The next one takes over its turn.
      if (next === undefined) this.#running--
      else next()
    }
  }
}
