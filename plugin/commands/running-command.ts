import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout } from 'node:timers'

/** Time without a use after which the storage is given up. */
const restMs = 100

/**
 * Knows the command of the running code.
 *
 * Up to Node 22, an `AsyncLocalStorage` in use slows down every write and every promise of the process. So it is given
 * up while no command needs it: `disable` ends its use until the next command.
 */
export class RunningCommand {
  /** The command, also after an await. */
  readonly #storage = new AsyncLocalStorage<object>()
  /** The sync command that runs now. */
  #entered: object | null = null
  /** Number of commands whose code goes on after it has returned. */
  #awaited = 0
  #wasUsed = false
  #rest: NodeJS.Timeout | null = null

  /** Whether the storage is given up. */
  get isAtRest (): boolean { return this.#rest === null }

  /** Runs a command's function. Until it has settled, {@link is} also finds the command after an await. */
  run (command: object, call: () => unknown): unknown {
    if (this.#rest === null) this.#watch()
    this.#wasUsed = true
    return this.#storage.run(command, call)
  }

  /** Runs a command's function that does all its work before it returns. */
  runSync (command: object, call: () => unknown): unknown {
    if (this.#storage.getStore() !== undefined) return this.run(command, call)
    this.#entered = command
    try {
      return call()
    } finally {
      this.#entered = null
    }
  }

  /** A command has returned a promise. Call {@link awaitEnded} once it has settled. */
  awaitBegun (): void {
    this.#awaited++
  }

  awaitEnded (): void {
    this.#awaited--
  }

  /** Whether the running code is part of a command. */
  is (command: object): boolean {
    return this.#entered === command || this.#storage.getStore() === command
  }

  #watch (): void {
    this.#wasUsed = false
    this.#rest = setTimeout(() => {
      this.#rest = null
      if (this.#awaited > 0 || this.#wasUsed) this.#watch()
      else this.#storage.disable()
    }, restMs).unref()
  }
}
