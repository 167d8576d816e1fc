import type { AsyncResource } from 'node:async_hooks'
import { defaults } from '../../schemas/defaults.ts'
import { systemTime, type TimeSource } from '../../schemas/time-source.ts'
import { presentContext } from './command-context.ts'
import { RunningCommand } from './running-command.ts'

/** What a command is to the application; null for the plugin's own work, which nobody watches. */
export type CommandKind = 'event' | 'update' | 'hook' | null

/** Watches one command. */
export interface CommandTrace {
  /** Runs the command's function, and gives what it returns or throws. */
  run: (call: () => unknown) => unknown
  /** The command has settled, with the error if there is one. */
  settled: (fault: { readonly error: unknown } | null) => void
}

/** One unit of a session's work: an event, an update from the server's own code, a hook. */
export class Command {
  /** Names it in logs. */
  readonly name: string
  readonly call: () => unknown
  /** Called at the end, with the error if there is one. */
  readonly onSettled: ((fault: { error: unknown } | null) => void) | null
  /** Whether `handlerTimeoutMs` bounds it. */
  readonly timed: boolean
  /** Whether it counts against the channel's capacity; hooks do not. */
  bounded = true
  /** Whether all its work is done when it returns. Its later callbacks do not count as within it. */
  isSync = false
  /** The async context to run in; null if the channel's next turn begins in that context. */
  context: AsyncResource | null = null
  settled = false
  /** Whether it has returned a promise. */
  isAwaited = false
  /** When it began; 0 until it has returned a promise. */
  startedAt = 0
  /** Number of its event; 0 for none. */
  seq = 0
  /** Whether its sender gets a reply. */
  isRequest = false
  /** What brought it here, for those who keep that until it has settled; null for nothing. */
  origin: object | null = null
  /** Approximate bytes of memory until it settles; 0 if negligible. */
  weight = 0
  kind: CommandKind = 'event'
  /** When it was queued; 0 if nobody watched then. */
  queuedAt = 0
  /** Null if nobody watches. */
  trace: CommandTrace | null = null
  /** What it does together with commands of its kind that directly follow it; null for none. See {@link CommandChannel.takeFollowing}. */
  joint: object | null = null

  constructor (name: string, call: () => unknown, onSettled: ((fault: { error: unknown } | null) => void) | null = null, timed = true) {
    this.name = name
    this.call = call
    this.onSettled = onSettled
    this.timed = timed
  }
}

/** The user of a channel. */
export interface CommandOwner {
  /** Whether the write side has room for the next command's updates. */
  readonly hasRoom: boolean
  /** A command threw or rejected. */
  onFault: (command: Command, error: unknown) => void
  /** A command returned a promise. */
  onUnsettled: (command: Command) => void
  /** Whether somebody watches commands; absent where nobody can. */
  readonly isWatched?: boolean
  /** Watches a command that is about to run; null if nobody does. */
  trace?: (command: Command) => CommandTrace | null
}

/** Counts the memory of waiting commands. Weights are bytes. */
export interface CommandMemory {
  /** Whether a channel whose commands weigh `own` may queue commands of another `weight`. */
  admitsCommands: (own: number, weight: number) => boolean
  takeCommand: (weight: number) => void
  giveCommand: (weight: number) => void
}

/** One for the process, since each storage in use costs. */
const running = new RunningCommand()

/** Its `then` runs a function in a microtask. `queueMicrotask` would make an async resource for each call. */
const settled = Promise.resolve()

/**
 * Runs the commands of one session one at a time, in the order of arrival. The next
 * begins when the one before has settled and the write side has room.
 *
 * Each runs in the async context of the code that queued it. A turn of the channel begins in the
 * context of the code that started it, so only a command that has to wait keeps its context.
 */
export class CommandChannel {
  readonly #capacity: number
  readonly #owner: CommandOwner
  readonly #memory: CommandMemory | null
  readonly #commandsPerTurn: number
  readonly #time: TimeSource
  #queue: Command[] = []
  /** Total weight of the waiting commands and the current one. */
  #weight = 0
  /** Number of waiting commands that do not count against the capacity. */
  #unbounded = 0
  #current: Command | null = null
  /** Whether a turn is scheduled, or runs. */
  #asked = false
  #takeTurn: (() => void) | null = null
  /** Called once nothing waits or runs; null for nobody. */
  #onIdle: (() => void) | null = null
  /** Called behind each command, before the next one runs; null for nobody. It must not throw. */
  onSettled: (() => void) | null = null

  /**
   * @param capacity number of events and updates that may wait; hooks do not count
   * @param memory counts the memory of commands; null for no count
   * @param limits `commandsPerTurn`: commands in a row before other sessions get their turn
   */
  constructor (capacity: number, owner: CommandOwner, memory: CommandMemory | null = null, { commandsPerTurn }: { readonly commandsPerTurn: number } = defaults.fixed, time: TimeSource = systemTime) {
    this.#time = time
    this.#capacity = capacity
    this.#owner = owner
    this.#memory = memory
    this.#commandsPerTurn = commandsPerTurn
  }

  /** Number of waiting commands. */
  get length (): number { return this.#queue.length }
  /** Whether no command waits or runs. */
  get isIdle (): boolean { return this.#current === null && this.#queue.length === 0 }
  /** The command that runs; null for none. */
  get current (): Command | null { return this.#current }
  /** Number of the first event that runs or waits; 0 for none. */
  get firstSeq (): number {
    if (this.#current !== null && this.#current.seq !== 0) return this.#current.seq
    return this.#queue.find(({ seq }) => seq !== 0)?.seq ?? 0
  }

  /** The origins of the commands that wait, each with the number of these that have no number of an event. */
  get origins (): Map<object, number> {
    const counts = new Map<object, number>()
    for (const { origin, seq } of this.#queue) if (origin !== null) counts.set(origin, (counts.get(origin) ?? 0) + (seq === 0 ? 1 : 0))
    return counts
  }

  /** Whether `count` more commands fit. */
  hasCapacity (count: number): boolean {
    return this.#queue.length - this.#unbounded + count <= this.#capacity
  }

  /** Whether memory allows more commands of `weight` bytes. */
  admits (weight: number): boolean {
    return this.#memory === null || this.#memory.admitsCommands(this.#weight, weight)
  }

  #weigh (command: Command): void {
    if (command.weight === 0 || this.#memory === null) return
    this.#weight += command.weight
    this.#memory.takeCommand(command.weight)
  }

  #unweigh (command: Command): void {
    if (command.weight === 0 || this.#memory === null) return
    this.#weight -= command.weight
    this.#memory.giveCommand(command.weight)
    command.weight = 0
  }

  /** Queues a command, even beyond the capacity: the caller checks {@link hasCapacity}. */
  push (command: Command): void {
    if (this.#asked || this.#current !== null || this.#queue.length > 0) command.context = presentContext()
    if (this.#owner.isWatched === true) command.queuedAt = performance.now()
    this.#queue.push(command)
    this.#weigh(command)
    if (!command.bounded) this.#unbounded++
    this.resume()
  }

  /** Starts a turn if a command waits and none runs. Call it when the write side may have room. */
  resume (): void {
    if (this.#asked || this.#current !== null || this.#queue.length === 0) return
    this.#asked = true
    settled.then(this.#takeTurn ??= () => this.#turn())
  }

  /** Calls a function as soon as no command waits or runs; null for no longer. For one caller at a time. */
  whenIdle (call: (() => void) | null): void {
    this.#onIdle = call
    this.#checkIdle()
  }

  #checkIdle (): void {
    const call = this.#onIdle
    if (call === null || !this.isIdle) return
    this.#onIdle = null
    call()
  }

  /**
   * Takes the commands that directly follow the present one out of the queue, as far as `test` passes for what they do
   * together. They count as part of the present command.
   */
  takeFollowing (test: (joint: object) => boolean): object[] {
    const current = this.#current
    if (current === null) return []
    const other = this.#queue.findIndex(({ joint }) => joint === null || !test(joint))
    const taken = this.#queue.splice(0, other === -1 ? this.#queue.length : other)
    for (const { bounded, weight } of taken) {
      if (!bounded) this.#unbounded--
      current.weight += weight
    }
    return taken.map(({ joint }) => joint!)
  }

  /** Whether the caller runs within the present command. */
  isWithinCurrent (): boolean {
    const current = this.#current
    return current !== null && running.is(current)
  }

  /** Settles the current command with an error, and continues with the next. */
  abandon (error: unknown): void {
    const command = this.#current
    if (command !== null) this.#settle(command, { error })
  }

  /** Removes all waiting commands. */
  clear (): Command[] {
    const left = this.#queue
    for (const command of left) this.#unweigh(command)
    // A command that never settles would count for ever.
    if (this.#current !== null) this.#unweigh(this.#current)
    this.#queue = []
    this.#unbounded = 0
    return left
  }

  /** Runs all commands that can run now. */
  #turn (): void {
    for (let count = 0; this.#current === null && this.#queue.length > 0 && this.#owner.hasRoom; count++) {
      if (count === this.#commandsPerTurn) {
        // A session that keeps itself busy must not starve the event loop.
        setImmediate(this.#takeTurn!)
        return
      }
      const command = this.#queue.shift()!
      if (!command.bounded) this.#unbounded--
      if (command.context === null) this.#run(command)
      else command.context.runInAsyncScope(this.#run, this, command)
    }
    // The next command keeps its context while it waits for the write side.
    if (this.#current === null && this.#queue.length > 0) this.#queue[0]!.context ??= presentContext()
    this.#asked = false
  }

  #run (command: Command): void {
    this.#current = command
    let result: unknown
    let isUnsettled: boolean
    const trace = command.trace = this.#owner.isWatched === true ? this.#owner.trace!(command) : null
    try {
      result = trace === null ? call(command) : trace.run(() => call(command))
      isUnsettled = isThenable(result)
    } catch (error) {
      this.#settle(command, { error })
      return
    }
    if (!isUnsettled) {
      this.#settle(command, null)
      return
    }
    command.startedAt = this.#time.now()
    command.isAwaited = true
    running.awaitBegun()
    this.#owner.onUnsettled(command)
    // `Promise.resolve` keeps a promise as it is, and catches an error of another thenable's `then`.
    Promise.resolve(result).then(
      () => this.#settle(command, null),
      (error: unknown) => this.#settle(command, { error })
    )
  }

  #settle (command: Command, fault: { error: unknown } | null): void {
    if (command.settled) {
      // The command was abandoned before. Its late error is still reported.
      if (fault !== null) this.#owner.onFault(command, fault.error)
      return
    }
    command.settled = true
    if (command.isAwaited) running.awaitEnded()
    this.#unweigh(command)
    command.trace?.settled(fault)
    if (fault !== null) this.#owner.onFault(command, fault.error)
    command.onSettled?.(fault)
    if (this.#current === command) {
      this.#current = null
      if (this.onSettled !== null) this.onSettled()
      this.resume()
      if (this.#onIdle !== null) this.#checkIdle()
    }
  }
}

function call (command: Command): unknown {
  return command.isSync ? running.runSync(command, command.call) : running.run(command, command.call)
}

/** Whether a value is a promise, of any library. */
export function isThenable (value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
