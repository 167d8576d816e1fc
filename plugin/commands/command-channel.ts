import { AsyncLocalStorage, type AsyncResource } from 'node:async_hooks'
import { defaults } from '../../schemas/defaults.ts'
import { presentContext } from './command-context.ts'

/** One thing for a session to do: an event, an update from the server's own code, a hook. */
export class Command {
  /** What it is called in logs. */
  readonly name: string
  readonly call: () => unknown
  /** Told of the end: with what was thrown, or null. */
  readonly onSettled: ((fault: { error: unknown } | null) => void) | null
  /** Whether `handlerTimeoutMs` bounds it. */
  readonly timed: boolean
  /** Whether it counts against the channel's capacity; hooks go past it. */
  bounded = true
  /** Whether all that it does is done when it returns; what goes on after that is not told from others. */
  isSync = false
  /** In which it runs; null where the channel's next turn is in the context of whoever queued it. */
  context: AsyncResource | null = null
  settled = false
  startedAt = 0
  /** Memory that it takes until it has settled, about; 0 for none to speak of. */
  weight = 0

  constructor (name: string, call: () => unknown, onSettled: ((fault: { error: unknown } | null) => void) | null = null, timed = true) {
    this.name = name
    this.call = call
    this.onSettled = onSettled
    this.timed = timed
  }
}

/** Whose commands a channel runs. */
export interface CommandOwner {
  /** Whether the write side has room for what the next command may send. */
  readonly hasRoom: boolean
  /** Something was thrown, or rejected with. */
  onFault: (command: Command, error: unknown) => void
  /** A command has not settled by itself yet. */
  onPending: (command: Command) => void
}

/** Where the memory of waiting commands is counted; weights are bytes. */
export interface CommandMemory {
  /** Whether a channel whose commands weigh `own` may queue more of a weight. */
  admitsCommands: (own: number, weight: number) => boolean
  takeCommand: (weight: number) => void
  giveCommand: (weight: number) => void
}

/** The command within which code runs, through every await. */
const running = new AsyncLocalStorage<Command>()
/** The same, for one that has not returned yet. */
let entered: Command | null = null

/** What waits for it runs in a microtask; `queueMicrotask` would make a resource for each. */
const settled = Promise.resolve()

/**
 * The commands of one session, run one at a time in the order of arrival. The next
 * is taken when the one before has settled and the write side has room.
 *
 * Each runs in the async context of whoever queued it. A channel's turn begins in that
 * of who asked for it, so only a command that has to wait takes its context along.
 */
export class CommandChannel {
  readonly #capacity: number
  readonly #owner: CommandOwner
  readonly #memory: CommandMemory | null
  readonly #commandsPerTurn: number
  #queue: Command[] = []
  /** Of those that wait and the one that runs. */
  #weight = 0
  /** How many of those that wait go past the capacity. */
  #unbounded = 0
  #current: Command | null = null
  /** Whether a turn is due, or runs. */
  #asked = false
  #takeTurn: (() => void) | null = null

  /**
   * @param capacity events and updates that may wait; hooks go past it
   * @param memory where the memory of what waits is counted; null for nowhere
   * @param limits `commandsPerTurn`: commands in a row before other sessions get their turn
   */
  constructor (capacity: number, owner: CommandOwner, memory: CommandMemory | null = null, { commandsPerTurn }: { readonly commandsPerTurn: number } = defaults.fixed) {
    this.#capacity = capacity
    this.#owner = owner
    this.#memory = memory
    this.#commandsPerTurn = commandsPerTurn
  }

  /** Commands that wait. */
  get length (): number { return this.#queue.length }
  /** The command that runs. */
  get current (): Command | null { return this.#current }

  /** Whether as many more commands may be queued. */
  hasCapacity (count: number): boolean {
    return this.#queue.length - this.#unbounded + count <= this.#capacity
  }

  /** Whether there is memory for commands of a weight. */
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

  /** Queues a command, over the capacity too; {@link hasCapacity} is the caller's to ask. */
  push (command: Command): void {
    if (this.#asked || this.#current !== null || this.#queue.length > 0) command.context = presentContext()
    this.#queue.push(command)
    this.#weigh(command)
    if (!command.bounded) this.#unbounded++
    this.resume()
  }

  /** Goes on, if it can: to be called when there may be room. */
  resume (): void {
    if (this.#asked || this.#current !== null || this.#queue.length === 0) return
    this.#asked = true
    settled.then(this.#takeTurn ??= () => this.#turn())
  }

  /** Whether the caller runs within the present command. */
  isWithinCurrent (): boolean {
    const current = this.#current
    return current !== null && (entered === current || running.getStore() === current)
  }

  /** Gives up waiting for the present command, and goes on to the next. */
  abandon (error: unknown): void {
    const command = this.#current
    if (command !== null) this.#settle(command, { error })
  }

  /** Takes out all commands that wait. */
  clear (): Command[] {
    const left = this.#queue
    for (const command of left) this.#unweigh(command)
    // One that never settles would be counted for ever.
    if (this.#current !== null) this.#unweigh(this.#current)
    this.#queue = []
    this.#unbounded = 0
    return left
  }

  /** Runs what can be run now. */
  #turn (): void {
    for (let count = 0; this.#current === null && this.#queue.length > 0 && this.#owner.hasRoom; count++) {
      if (count === this.#commandsPerTurn) {
        // A session that keeps itself busy leaves the loop to others in between.
        setImmediate(this.#takeTurn!)
        return
      }
      const command = this.#queue.shift()!
      if (!command.bounded) this.#unbounded--
      if (command.context === null) this.#run(command)
      else command.context.runInAsyncScope(this.#run, this, command)
    }
    // Its turn has come, and it is the write side that it waits for.
    if (this.#current === null && this.#queue.length > 0) this.#queue[0]!.context ??= presentContext()
    this.#asked = false
  }

  #run (command: Command): void {
    this.#current = command
    let result: unknown
    let isPending: boolean
    try {
      // Up to Node 22 the first use of the storage slows down every promise of the process, so what can do without does.
      result = command.isSync && running.getStore() === undefined ? enter(command) : running.run(command, command.call)
      isPending = isThenable(result)
    } catch (error) {
      this.#settle(command, { error })
      return
    }
    if (!isPending) {
      this.#settle(command, null)
      return
    }
    command.startedAt = performance.now()
    this.#owner.onPending(command)
    // A promise stays itself; what only looks like one may throw from its `then`.
    Promise.resolve(result).then(
      () => this.#settle(command, null),
      (error: unknown) => this.#settle(command, { error })
    )
  }

  #settle (command: Command, fault: { error: unknown } | null): void {
    if (command.settled) {
      // It was given up before; what it threw in the end is still told.
      if (fault !== null) this.#owner.onFault(command, fault.error)
      return
    }
    command.settled = true
    this.#unweigh(command)
    if (fault !== null) this.#owner.onFault(command, fault.error)
    command.onSettled?.(fault)
    if (this.#current === command) {
      this.#current = null
      this.resume()
    }
  }
}

function enter (command: Command): unknown {
  entered = command
  try {
    return command.call()
  } finally {
    entered = null
  }
}

function isThenable (value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
