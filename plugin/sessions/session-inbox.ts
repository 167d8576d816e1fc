import { defaults } from '../../schemas/defaults.ts'
import { BusyError, HandlerTimeoutError, SessionClosedError, SessionMovedError } from '../../schemas/errors.ts'
import { EventError } from '../../schemas/event-error.ts'
import { systemTime, type TimeSource } from '../../schemas/time-source.ts'
import { Command, CommandChannel, isThenable, type CommandKind, type CommandMemory, type CommandOwner, type CommandTrace } from '../commands/command-channel.ts'
import { isSyncCallback } from '../commands/sync-callback.ts'
import type { Counters } from '../metrics/counters.ts'
import type { EventTimes } from '../metrics/event-times.ts'
import type { CommandMessage } from '../metrics/messages.ts'
import type { CommandWatch } from './command-watch.ts'
import { failedReply, refusedReply, type Reply } from './reply.ts'

/** A handler of the application for one event. */
export interface EventHandler {
  readonly handle: (...given: unknown[]) => unknown
  /** Whether all its work is done when it returns. */
  readonly isSync: boolean
  /** Makes the command of one event, in place of a call of `handle`. */
  readonly toCommand?: (session: any, data: any) => Command
}

/** What the engine's journal has of an event. */
export interface EventOrigin {
  /** Whether the event comes out of the journal, after a crash. */
  readonly isRedelivered: boolean
}

/** The sender's side of a request. */
export interface Requester {
  /** Writes what the handler returned as JSON. Throws for a value that its schema refuses. */
  encode: (value: unknown) => string
  /** Gets the reply, once; null if the session closed before the handler ran. */
  settle: (reply: Reply | null) => void
}

export type Hook = (...given: never[]) => unknown

export type HookName = 'onConnect' | 'onDisconnect' | 'onJoin' | 'onLeave' | 'onGap' | 'onFreeze' | 'onRestore' | 'onClose'

/** What the inboxes of one endpoint have in common. */
export interface InboxScope {
  readonly limits: { readonly commandBuffer: number, readonly handlerTimeoutMs: number }
  readonly handlers: ReadonlyMap<string, EventHandler>
  /** The endpoint's configuration, `this` of its hooks and, by `on`, of its handlers. */
  readonly hooks: { readonly [Name in HookName]?: Hook | undefined } & { readonly on?: object | undefined }
  /** The last argument of each handler. */
  readonly context: unknown
  /** The same for an event that may have run before. */
  readonly redelivered?: unknown
  /** Absent where nobody can watch. */
  readonly commandWatch?: CommandWatch
  /** Measures the events; null without the option `tuning`. */
  readonly eventTimes?: EventTimes | null
}

/** The session of an inbox: the first argument of handlers and hooks. */
export interface InboxOwner {
  /** Names the session in logs. */
  readonly shortId: string
  /** {@link SessionInbox.timeoutAt} was set. */
  onTimeoutDue: () => void
  /** Logs what a handler or hook threw, and tells the application. Never throws. */
  report: (error: unknown, command: string) => void
}

/** The way down, as far as commands depend on it. */
export interface WriteSide {
  /** Whether there is room for what the next command may send. */
  readonly hasRoom: boolean
  /** Whether the session's loop stands still until there is room. */
  readonly isStalled: boolean
}

/** An inbox as JSON. */
export interface InboxSnapshot {
  /** The last `seq` whose event is settled, and all before it; 0 for none. */
  readonly acceptedSeq: number
}

/** The way up: the events of one session, and its other commands, which run one at a time. */
export class SessionInbox implements CommandOwner {
  readonly #owner: InboxOwner
  readonly #scope: InboxScope
  readonly #writeSide: WriteSide
  readonly #counters: Counters
  readonly #channel: CommandChannel
  #acceptedSeq = 0
  /** What an update gets once the session closes; null before. */
  #Refusal: typeof SessionClosedError | typeof SessionMovedError | null = null
  #isGapHookQueued = false
  /** Settles the commands that never run; null before the end. */
  #ending: Error | null = null

  constructor (owner: InboxOwner, scope: InboxScope, writeSide: WriteSide, memory: CommandMemory, counters: Counters, limits: { readonly commandsPerTurn: number } = defaults.fixed, time: TimeSource = systemTime) {
    this.#owner = owner
    this.#scope = scope
    this.#writeSide = writeSide
    this.#counters = counters
    this.#channel = new CommandChannel(scope.limits.commandBuffer, this, memory, limits, time)
  }

  /** Last `seq` accepted; 0 for none. */
  get acceptedSeq (): number { return this.#acceptedSeq }
  /** Commands that wait. */
  get length (): number { return this.#channel.length }
  /** Commands that wait or run. */
  get present (): number { return this.#channel.length + (this.#channel.current === null ? 0 : 1) }
  /** The command that runs, and since when, on the clock of the session's time source; null for none. */
  get running (): { readonly name: string, readonly since: number } | null {
    const command = this.#channel.current
    return command === null || command.startedAt === 0 ? null : { name: command.name, since: command.startedAt }
  }

  /** Whether no command runs: the state is that behind one command and before the next. */
  get isBetweenCommands (): boolean { return this.#channel.current === null }
  /** Whether no command waits or runs. */
  get isIdle (): boolean { return this.#channel.isIdle }
  /** Whether the caller runs within the present command. */
  get isWithinCurrent (): boolean { return this.#channel.isWithinCurrent() }

  /** When {@link timeOut} is due; Infinity for no command with a time limit, and during a stall. */
  get timeoutAt (): number {
    const command = this.#channel.current
    const { handlerTimeoutMs } = this.#scope.limits
    if (command === null || !command.timed || command.startedAt === 0 || handlerTimeoutMs === 0 || this.#writeSide.isStalled) return Infinity
    return command.startedAt + handlerTimeoutMs
  }

  // Events

  /** Whether `count` more events of `weight` bytes of memory may wait. */
  hasCapacity (count: number, weight: number): boolean {
    return this.#channel.hasCapacity(count) && this.#channel.admits(weight)
  }

  /**
   * Queues an event.
   *
   * @param name of an event of the contract
   * @param seq its number; 0 for none
   * @param weight bytes of memory
   * @param requester who gets the reply; null for an event that is no request
   * @param origin what the engine's journal has of it; null for nothing
   */
  accept (name: string, data: unknown, seq: number, weight: number, requester: Requester | null = null, origin: EventOrigin | null = null): void {
    if (seq !== 0) this.#acceptedSeq = seq
    this.#counters.add('eventsAccepted')
    const { handle, isSync, toCommand } = this.#scope.handlers.get(name)!
    const command = toCommand?.(this.#owner, data) ?? this.#eventOf(name, handle, data, requester, origin?.isRedelivered === true ? this.#scope.redelivered : this.#scope.context)
    command.isSync = isSync
    command.seq = seq
    command.origin = origin
    command.weight = weight
    this.#channel.push(command)
  }

  #eventOf (name: string, handle: EventHandler['handle'], data: unknown, requester: Requester | null, context: unknown): Command {
    const { hooks, eventTimes } = this.#scope
    const call = () => handle.call(hooks.on, this.#owner, data, context)
    const timed = eventTimes?.accept()
    if (timed === undefined) return requester === null ? new Command(name, call) : this.#requestOf(name, call, requester)
    const timedCall = () => {
      timed.begin()
      return call()
    }
    return requester === null ? new Command(name, timedCall, timed.settle) : this.#requestOf(name, timedCall, requester, timed.settle)
  }

  #requestOf (name: string, call: () => unknown, { encode, settle }: Requester, onSettled?: () => void): Command {
    let json = ''
    const keep = (value: unknown) => { json = encode(value) }
    const command = new Command(name, () => {
      const result = call()
      return isThenable(result) ? Promise.resolve(result).then(keep) : keep(result)
    }, (fault) => {
      onSettled?.()
      if (fault === null) settle({ status: 200, json })
      else settle(fault.error === this.#ending ? null : this.#replyFor(fault.error, name))
    })
    command.isRequest = true
    return command
  }

  #replyFor (error: unknown, command: string): Reply {
    if (!(error instanceof EventError)) return failedReply
    try {
      return refusedReply(error)
    } catch (fault) {
      // Its data is nothing that JSON can carry.
      this.#report(fault, command)
      return failedReply
    }
  }

  // Updates and hooks

  /** @returns as `session.update` does */
  update<Result> (run: (session: unknown) => Result): Promise<Awaited<Result>> {
    const promise = this.#channel.isWithinCurrent() ? this.#runWithin(run) : this.#enqueue(run)
    // A caller may ignore the promise. Faults are reported apart from it.
    promise.catch(() => {})
    return promise
  }

  async #runWithin<Result> (run: (session: unknown) => Result): Promise<Awaited<Result>> {
    try {
      return await run(this.#owner)
    } catch (error) {
      if (!this.#isAnswer(this.#channel.current, error)) this.#report(error, 'update')
      throw error
    }
  }

  #enqueue<Result> (run: (session: unknown) => Result): Promise<Awaited<Result>> {
    return new Promise<Awaited<Result>>((resolve, reject) => {
      if (this.#Refusal !== null) return reject(new this.#Refusal())
      if (!this.#channel.hasCapacity(1)) return reject(new BusyError())
      let result: Result
      const command = new Command('update', () => (result = run(this.#owner)), (fault) => {
        if (fault === null) resolve(result as Awaited<Result>)
        else reject(fault.error)
      })
      command.isSync = isSyncCallback(run)
      command.kind = 'update'
      this.#channel.push(command)
    })
  }

  /** Queues a hook, beyond the channel's capacity, if the configuration has it. */
  queueHook (name: HookName, ...given: readonly unknown[]): void {
    if (this.#scope.hooks[name] !== undefined) this.#pushHook(name, given, null)
  }

  /** Queues `onGap`, if the configuration has it, unless it waits already. */
  queueGapHook (context: unknown): void {
    const hook = this.#scope.hooks.onGap
    if (hook === undefined || this.#isGapHookQueued) return
    this.#isGapHookQueued = true
    this.#pushUnbounded(new Command('onGap', () => {
      // A gap from now on needs another run.
      this.#isGapHookQueued = false
      return hook.call(this.#scope.hooks, this.#owner as never, context as never)
    }), isSyncCallback(hook), 'hook')
  }

  /** Queues `onClose`, whether or not the configuration has it. Calls `onSettled` behind it. */
  queueLastHook (given: readonly unknown[], onSettled: () => void): void {
    this.#pushHook('onClose', given, onSettled)
  }

  #pushHook (name: HookName, given: readonly unknown[], onSettled: (() => void) | null): void {
    const { hooks } = this.#scope
    const hook = hooks[name]
    this.#pushUnbounded(new Command(name, () => hook?.call(hooks, ...[this.#owner, ...given] as never[]), onSettled), hook === undefined || isSyncCallback(hook), hook === undefined ? null : 'hook')
  }

  /** Queues a command of the plugin's own, beyond the channel's capacity. */
  queueOwn (command: Command, isSync: boolean): void {
    this.#pushUnbounded(command, isSync, null)
  }

  /** @see {@link CommandChannel.takeFollowing} */
  takeFollowing (test: (joint: object) => boolean): object[] {
    return this.#channel.takeFollowing(test)
  }

  #pushUnbounded (command: Command, isSync: boolean, kind: CommandKind): void {
    command.bounded = false
    command.kind = kind
    command.isSync = isSync
    this.#channel.push(command)
  }

  // The channel's turns

  get hasRoom (): boolean { return this.#writeSide.hasRoom }

  /** Continues with the next command, if it can. Call it when the write side has room. */
  resume (): void {
    this.#channel.resume()
  }

  onFault (command: Command, error: unknown): void {
    if (!this.#isAnswer(command, error)) this.#report(error, command.name)
  }

  /** Whether what was thrown is an answer to the client, and no fault. */
  #isAnswer (command: Command | null, error: unknown): boolean {
    return command?.isRequest === true && error instanceof EventError
  }

  #report (error: unknown, command: string): void {
    this.#counters.add('handlerErrors')
    this.#owner.report(error, command)
  }

  onUnsettled (command: Command): void {
    if (command.timed && this.#scope.limits.handlerTimeoutMs > 0) this.#owner.onTimeoutDue()
  }

  get isWatched (): boolean { return this.#scope.commandWatch?.isOn === true }

  trace (command: Command): CommandTrace | null {
    return command.kind === null ? null : this.#scope.commandWatch!.trace(this.#owner.shortId, command as Command & { kind: CommandMessage['kind'] })
  }

  /** The time of a stall does not count for the handler that runs: the stall deadline bounds that wait. */
  excludeStall (since: number, now: number): void {
    const command = this.#channel.current
    this.#scope.eventTimes?.hold(this.present * (now - since))
    if (command === null) return
    if (command.startedAt > 0) command.startedAt += now - Math.max(since, command.startedAt)
    if (this.timeoutAt !== Infinity) this.#owner.onTimeoutDue()
  }

  /** Waits no longer for the handler that runs: it is reported as too slow. */
  timeOut (now: number): void {
    const command = this.#channel.current
    if (command?.timed !== true) return
    const { handlerTimeoutMs } = this.#scope.limits
    const isDue = now >= this.timeoutAt
    this.#channel.abandon(new HandlerTimeoutError(command.name, isDue ? handlerTimeoutMs : Math.round(now - command.startedAt)))
  }

  // Its end

  /** Takes no more updates. Calls `last` behind all waiting commands; only hooks may follow it. */
  close (last: () => unknown): void {
    this.#Refusal = SessionClosedError
    this.#pushUnbounded(new Command('close', last, null, false), true, null)
  }

  /** Drops all waiting commands. `hasMoved`: the session goes on elsewhere. */
  destroy (hasMoved = false): void {
    const Refusal = hasMoved ? SessionMovedError : SessionClosedError
    this.#Refusal = Refusal
    const error = this.#ending = new Refusal()
    for (const command of this.#channel.clear()) command.onSettled?.({ error })
  }

  // Moving

  /** Calls a function as soon as no command waits or runs; null for no longer. */
  whenIdle (call: (() => void) | null): void {
    this.#channel.whenIdle(call)
  }

  /** Waits no longer for the command that runs, whatever it is. */
  abandon (afterMs: number): void {
    const command = this.#channel.current
    if (command !== null) this.#channel.abandon(new HandlerTimeoutError(command.name, afterMs))
  }

  /** Calls a function behind each command, before the next one runs; null for no longer. */
  watch (call: (() => void) | null): void {
    this.#channel.onSettled = call
  }

  /** @see {@link CommandChannel.origins} */
  get origins (): Map<object, number> { return this.#channel.origins }

  /** The numbers of settled events. An event that waits or runs does not count: its client sends it again. */
  snapshot (): InboxSnapshot {
    const unsettled = this.#channel.firstSeq
    return { acceptedSeq: unsettled === 0 ? this.#acceptedSeq : unsettled - 1 }
  }

  /** Continues behind the events of a snapshot. For an inbox that has accepted none. */
  restore ({ acceptedSeq }: InboxSnapshot): void {
    this.#acceptedSeq = acceptedSeq
  }
}
