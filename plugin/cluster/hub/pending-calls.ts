import { EngineError } from '../../../schemas/errors.ts'
import type { Clock } from './clock.ts'

export interface CallLimits {
  /** Milliseconds until a call without an answer rejects. */
  readonly deadlineMs: number
  /** Most calls that wait for their answers, and most bytes that they carry. */
  readonly maxCalls: number
  readonly maxCallBytes: number
}

interface Call {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
  readonly bytes: number
  readonly endsAt: number
}

/** The calls of one node that wait for an answer. */
export class PendingCalls {
  readonly #limits: CallLimits
  readonly #clock: Clock
  readonly #onLate: () => void
  /** By id, the oldest first. */
  readonly #calls = new Map<number, Call>()
  #bytes = 0
  #lastId = 0
  #timer: unknown

  /** @param onLate is called after the calls that got no answer in time have been rejected */
  constructor (limits: CallLimits, clock: Clock, onLate: () => void = () => {}) {
    this.#limits = limits
    this.#clock = clock
    this.#onLate = onLate
  }

  /**
   * Adds a call.
   *
   * @throws `FST_ERR_TETHER_ENGINE` when too much waits already
   */
  add (bytes: number): { readonly id: number, readonly promise: Promise<unknown> } {
    const { deadlineMs, maxCalls, maxCallBytes } = this.#limits
    if (this.#calls.size >= maxCalls) throw new EngineError(`does not keep up: ${maxCalls} calls wait`)
    if (this.#bytes + bytes > maxCallBytes) throw new EngineError(`does not keep up: calls wait with ${this.#bytes} bytes, and another has ${bytes} of at most ${maxCallBytes}`)
    const id = ++this.#lastId
    this.#bytes += bytes
    const promise = new Promise<unknown>((resolve, reject) => {
      this.#calls.set(id, { resolve, reject, bytes, endsAt: this.#clock.now() + deadlineMs })
    })
    this.#timer ??= this.#clock.setTimeout(this.#check, deadlineMs)
    return { id, promise }
  }

  resolve (id: number, value: unknown): void {
    this.#take(id)?.resolve(value)
  }

  reject (id: number, error: Error): void {
    this.#take(id)?.reject(error)
  }

  rejectAll (why: string): void {
    for (const id of [...this.#calls.keys()]) this.reject(id, new EngineError(why))
  }

  /** Rejects all that waits, and ends the timer. */
  close (): void {
    this.rejectAll('was left')
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #take (id: number): Call | undefined {
    const call = this.#calls.get(id)
    if (call === undefined) return undefined
    this.#calls.delete(id)
    this.#bytes -= call.bytes
    return call
  }

  // One timer for all: it often finds younger calls than those it was set for.
  readonly #check = (): void => {
    this.#timer = undefined
    const now = this.#clock.now()
    let isLate = false
    for (const [id, { endsAt }] of this.#calls) {
      if (endsAt > now) {
        this.#timer = this.#clock.setTimeout(this.#check, endsAt - now)
        break
      }
      isLate = true
      this.reject(id, new EngineError(`gave no answer within ${this.#limits.deadlineMs} ms`))
    }
    if (isLate) this.#onLate()
  }
}
