import type { Clock } from '../hub/clock.ts'

interface Passage { readonly at: number, readonly bytes: number, readonly run: () => void }

/** One direction of a simulated connection: what is sent arrives in its order, each after its delay. */
export class Lane {
  readonly #clock: Clock
  #passages: Passage[] = []
  #bytes = 0
  #lastAt = 0
  #isFrozen = false
  /** Identifies the wake-up that counts. */
  #wake = 0
  #isWaking = false

  constructor (clock: Clock) {
    this.#clock = clock
  }

  get length (): number { return this.#passages.length }
  get bytes (): number { return this.#bytes }

  send (delayMs: number, bytes: number, run: () => void): void {
    const at = Math.max(this.#lastAt, this.#clock.now() + delayMs)
    this.#lastAt = at
    this.#passages.push({ at, bytes, run })
    this.#bytes += bytes
    this.#arm()
  }

  freeze (): void {
    this.#isFrozen = true
  }

  thaw (): void {
    this.#isFrozen = false
    this.#arm()
  }

  /** Loses all that is under way. */
  break (): void {
    this.#passages = []
    this.#bytes = 0
    this.#isFrozen = false
    this.#isWaking = false
    this.#wake++
  }

  #arm (): void {
    const [next] = this.#passages
    if (next === undefined || this.#isFrozen || this.#isWaking) return
    this.#isWaking = true
    const wake = ++this.#wake
    const run = () => { if (wake === this.#wake) this.#deliver() }
    const ms = next.at - this.#clock.now()
    if (ms > 0) this.#clock.setTimeout(run, ms)
    else this.#clock.defer(run)
  }

  #deliver (): void {
    this.#isWaking = false
    const wake = this.#wake
    const now = this.#clock.now()
    while (!this.#isFrozen && wake === this.#wake && this.#passages.length > 0 && this.#passages[0]!.at <= now) {
      const { bytes, run } = this.#passages.shift()!
      this.#bytes -= bytes
      run()
    }
    this.#arm()
  }
}
