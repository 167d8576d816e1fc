import { tracingChannel } from 'node:diagnostics_channel'
import { HandlerTimeoutError } from '../../schemas/errors.ts'
import { messageOf, read } from '../../schemas/thrown.ts'
import { isThenable, type Command, type CommandTrace } from '../commands/command-channel.ts'
import type { CommandMessage, CommandOutcome } from '../metrics/messages.ts'
import { tell, type Observer, type Watch } from '../metrics/watch.ts'

const { start, end, asyncStart, asyncEnd, error: failed } = tracingChannel<CommandMessage>('tether:command')

/** Watches the commands of one URL's sessions, while an observer or a subscriber of `tracing:tether:command:*` wants to know. */
export class CommandWatch {
  readonly #url: string
  readonly #watch: Watch

  constructor (url: string, watch: Watch) {
    this.#url = url
    this.#watch = watch
  }

  /** False while nobody wants to know. */
  get isOn (): boolean {
    return this.#watch.observers.length > 0 || start.hasSubscribers || end.hasSubscribers || asyncStart.hasSubscribers || asyncEnd.hasSubscribers || failed.hasSubscribers
  }

  /** @param session the shortened id */
  trace (session: string, command: Command & { readonly kind: CommandMessage['kind'] }): CommandTrace {
    const now = performance.now()
    const message: CommandMessage = {
      session,
      url: this.#url,
      command: command.name,
      kind: command.kind,
      seq: command.seq === 0 ? null : command.seq,
      waitedMs: command.queuedAt === 0 ? null : now - command.queuedAt
    }
    return new Trace(message, now, this.#watch.observers)
  }
}

/** Tells of one command what `tracingChannel.tracePromise` would, but keeps the command's result as it is. */
class Trace implements CommandTrace {
  readonly #message: CommandMessage
  readonly #startedAt: number
  readonly #observers: readonly Observer[]
  #isOver = false

  constructor (message: CommandMessage, startedAt: number, observers: readonly Observer[]) {
    this.#message = message
    this.#startedAt = startedAt
    this.#observers = observers
  }

  run (call: () => unknown): unknown {
    const message = this.#message
    return start.runStores(message, () => {
      try {
        const result = this.#runWithin(call)
        if (!isThenable(result)) this.#finish(null)
        return result
      } catch (error) {
        this.#finish({ error })
        throw error
      } finally {
        end.publish(message)
      }
    })
  }

  settled (fault: { readonly error: unknown } | null): void {
    if (this.#isOver) return
    this.#finish(fault)
    asyncStart.publish(this.#message)
    asyncEnd.publish(this.#message)
  }

  #runWithin (call: () => unknown): unknown {
    let run = call
    for (const { runCommand } of this.#observers) {
      if (runCommand === undefined) continue
      const inner = run
      run = () => this.#guarded(runCommand, inner)
    }
    return run()
  }

  /** An exporter that throws before the command runs must not keep it from running. */
  #guarded (runCommand: NonNullable<Observer['runCommand']>, run: () => unknown): unknown {
    let hasRun = false
    try {
      return runCommand(this.#message, () => {
        hasRun = true
        return run()
      })
    } catch (error) {
      if (hasRun) throw error
      return run()
    }
  }

  #finish (fault: { readonly error: unknown } | null): void {
    const message = this.#message
    this.#isOver = true
    message.ms = performance.now() - this.#startedAt
    message.outcome = outcomeOf(fault)
    if (fault !== null) {
      message.error = plain(fault.error)
      failed.publish(message)
    }
    tell(this.#observers, 'commandEnded', message)
  }
}

function outcomeOf (fault: { readonly error: unknown } | null): CommandOutcome {
  if (fault === null) return 'ok'
  return fault.error instanceof HandlerTimeoutError ? 'timeout' : 'error'
}

/** The readable parts of a thrown value. */
function plain (thrown: unknown): NonNullable<CommandMessage['error']> {
  const code = read(thrown, 'code')
  const stack = read(thrown, 'stack')
  return { name: read(thrown, 'name') ?? 'Error', message: messageOf(thrown), ...code === undefined ? {} : { code }, ...stack === undefined ? {} : { stack } }
}
