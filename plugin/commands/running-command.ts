import { AsyncLocalStorage } from 'node:async_hooks'

/** Time without a use after which the storage is given up. */
const restMs = 100

/** The command of the running code, also after an await. */
const storage = new AsyncLocalStorage<object>()
/** The sync command that runs now. */
let entered: object | null = null
/** Number of commands whose code goes on after it has returned. */
let awaited = 0
let wasUsed = false
let rest: NodeJS.Timeout | null = null

/**
 * Up to Node 22, a storage in use slows down every write and every promise of the process. `disable`
 * ends that until the next use.
 */
function giveUp (): void {
  if (awaited > 0 || wasUsed) {
    wasUsed = false
    rest!.refresh()
    return
  }
  storage.disable()
  rest = null
}

/** Runs a command's function. Until it has settled, {@link isRunning} also finds the command after an await. */
export function runCommand (command: object, call: () => unknown): unknown {
  wasUsed = true
  rest ??= setTimeout(giveUp, restMs).unref()
  return storage.run(command, call)
}

/** Runs a command's function that does all its work before it returns. */
export function runSyncCommand (command: object, call: () => unknown): unknown {
  if (storage.getStore() !== undefined) return runCommand(command, call)
  entered = command
  try {
    return call()
  } finally {
    entered = null
  }
}

/** A command has returned a promise. Call {@link awaitEnded} once it has settled. */
export function awaitBegun (): void {
  awaited++
}

export function awaitEnded (): void {
  awaited--
}

/** Whether the running code is part of a command. */
export function isRunning (command: object): boolean {
  return entered === command || storage.getStore() === command
}
