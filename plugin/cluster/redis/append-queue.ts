import { batchLength } from './batch.ts'

interface Waiting {
  readonly entry: Buffer
  readonly since: number
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

/**
 * Brings entries to the log in the order of the calls. One write is under way at a time, with all that waits:
 * a redirection or an error of one write cannot let a later one overtake it.
 */
export class AppendQueue {
  readonly #write: (entries: readonly Buffer[], waitedMs: number) => Promise<unknown>
  #waiting: Waiting[] = []
  #isWriting = false

  constructor (write: (entries: readonly Buffer[], waitedMs: number) => Promise<unknown>) {
    this.#write = write
  }

  push (entry: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, since: performance.now(), resolve, reject })
      if (this.#isWriting) return
      this.#isWriting = true
      // The other entries of this turn come along.
      queueMicrotask(() => { this.#run() })
    })
  }

  async #run (): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, batchLength(this.#waiting, ({ entry }) => entry.length))
      try {
        await this.#write(batch.map(({ entry }) => entry), performance.now() - batch[0]!.since)
        for (const { resolve } of batch) resolve()
      } catch (error) {
        // What waits behind them must not overtake them, should the caller repeat them.
        const rest = this.#waiting
        this.#waiting = []
        for (const { reject } of [...batch, ...rest]) reject(error)
      }
    }
    this.#isWriting = false
  }
}
