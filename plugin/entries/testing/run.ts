import { isThenable } from '../../commands/command-channel.ts'

// Kept from before a test installs fake timers: this wait is no part of the test's time.
const immediate = setImmediate

/** Resolves after this turn of the event loop, when all that was ready to run has run. */
export function nextTurn (): Promise<void> {
  return new Promise((resolve) => { immediate(resolve) })
}

/** One expected run of a handler or hook. */
export class Run {
  readonly name: string
  readonly isHook: boolean
  /** Settles a turn after the handler, when the session has gone on. A rejection may be ignored. */
  readonly settled: Promise<unknown>
  isOver = false
  #resolve!: (value: unknown) => void
  #reject!: (error: unknown) => void

  constructor (name: string, isHook: boolean) {
    this.name = name
    this.isHook = isHook
    this.settled = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.settled.catch(() => {})
  }

  /** Calls the handler, and gives what it gives. */
  call (handle: () => unknown): unknown {
    let result: unknown
    try {
      result = handle()
    } catch (error) {
      this.fail(error)
      throw error
    }
    if (!isThenable(result)) {
      this.#end(() => this.#resolve(result))
      return result
    }
    // Another call of a thenable's `then` might have other effects.
    const promise = Promise.resolve(result)
    promise.then((value) => this.#end(() => this.#resolve(value)), (error: unknown) => this.fail(error))
    return promise
  }

  fail (error: unknown): void {
    this.#end(() => this.#reject(error))
  }

  #end (settle: () => void): void {
    if (this.isOver) return
    this.isOver = true
    nextTurn().then(settle)
  }
}
