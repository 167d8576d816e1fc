import { EngineError, EngineFullError } from '../../../schemas/errors.ts'
import { batchLength } from './batch.ts'
import type { Argument, RedisConnection, RedisServer } from './redis-server.ts'

/** A command that waits for the end of the turn. */
interface Joined {
  readonly key: string
  readonly command: readonly Argument[]
  readonly answer: (answer: Promise<unknown>) => void
}

/** Replies of a server that cannot do its work now, though it answers. Scripts of older servers put a hyphen before them. */
const unfit = /(?:^|-)(?:LOADING|READONLY|CLUSTERDOWN|MASTERDOWN|NOREPLICAS|MISCONF|BUSY|TRYAGAIN|MOVED|ASK|UNBLOCKED|UNKILLABLE|NOQUORUM)\b/
const full = /(?:^|-)OOM\b/
const isReply = /^[A-Z][A-Z0-9]+\b/
/** Replies that no wait will change: the settings are wrong. */
const misfit = /^(?:WRONGPASS|NOAUTH|NOPERM|WRONGTYPE|NOPROTO|ERR (?:unknown command|invalid password|AUTH |Client sent AUTH|syntax error))/

/** Whether an error comes from settings, such as a password. */
export function isMisfit (error: unknown): boolean {
  return error instanceof Error && misfit.test(error.cause instanceof Error ? error.cause.message : error.message)
}

function toError (value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value))
}

/**
 * A connection with a deadline for every command. It ends once: when it breaks, when an answer is late, when the
 * server is not fit to answer. Then all that waits rejects.
 */
export class RedisLine {
  readonly deadlineMs: number
  readonly #connection: RedisConnection
  readonly #waiting = new Set<(reason: Error) => void>()
  #joined: Joined[] = []
  #reason: Error | null = null
  #onEnd: Array<(reason: Error) => void> = []

  constructor (server: RedisServer, deadlineMs: number) {
    this.deadlineMs = deadlineMs
    this.#connection = server.connect(deadlineMs, (reason) => { this.end(unavailable(reason)) })
  }

  /** Resolves when it carries commands. */
  async open (): Promise<void> {
    await this.#within(this.#connection.ready, this.deadlineMs, 'accepted no connection')
  }

  /**
   * Sends a command, once.
   *
   * @throws `FST_ERR_TETHER_ENGINE` if there is no answer in time, or none that counts, and the command may have run; or if the server refuses it
   * @throws `FST_ERR_TETHER_ENGINE_FULL` if the server has no memory left; the command has not run
   */
  async call (key: string, command: readonly Argument[], deadlineMs = this.deadlineMs): Promise<unknown> {
    if (this.#reason !== null) throw this.#reason
    return await this.#within(this.#connection.send(key, command), deadlineMs, `gave no answer to ${command[0] as string}`)
  }

  /**
   * Sends a command as `call` does, at the end of this turn of the event loop and in one write with the others of the turn. The order is
   * that of the calls, except that what `call` sends overtakes it.
   */
  async join (key: string, command: readonly Argument[]): Promise<unknown> {
    if (this.#reason !== null) throw this.#reason
    if (this.#connection.sendAll === null) return await this.call(key, command)
    const answer = new Promise<unknown>((resolve) => {
      this.#joined.push({ key, command, answer: resolve })
      if (this.#joined.length === 1) setImmediate(() => { this.#sendJoined() })
    })
    return await this.#within(answer, this.deadlineMs, `gave no answer to ${command[0] as string}`)
  }

  #sendJoined (): void {
    const joined = this.#joined
    this.#joined = []
    try {
      // Of a line that has ended, all has been rejected.
      while (this.#reason === null && joined.length > 0) {
        const batch = joined.splice(0, batchLength(joined, ({ command }) => sizeOf(command)))
        const answers = batch.length === 1 ? [this.#connection.send(batch[0]!.key, batch[0]!.command)] : this.#connection.sendAll!(batch.map(({ command }) => command))
        for (const [index, { answer }] of batch.entries()) answer(answers[index]!)
      }
    } catch (error) {
      // Where a library throws in place of rejecting, nobody knows what it has sent.
      this.end(unavailable(toError(error)))
    }
  }

  /** Calls `listener` when the line ends; at once if it has ended. */
  onEnd (listener: (reason: Error) => void): void {
    if (this.#reason !== null) listener(this.#reason)
    else this.#onEnd.push(listener)
  }

  end (reason: Error): void {
    if (this.#reason !== null) return
    this.#reason = reason
    this.#connection.destroy()
    // Some libraries settle nothing when a connection is destroyed.
    for (const reject of this.#waiting) reject(reason)
    this.#waiting.clear()
    for (const listener of this.#onEnd) listener(reason)
    this.#onEnd = []
  }

  #within (answer: Promise<unknown>, deadlineMs: number, late: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => { this.end(new EngineError(`${late} within ${Math.round(deadlineMs)} ms`)) }, deadlineMs)
      const fail = (reason: Error) => {
        clearTimeout(timer)
        reject(reason)
      }
      this.#waiting.add(fail)
      const settle = () => {
        clearTimeout(timer)
        return this.#waiting.delete(fail)
      }
      answer.then((value) => {
        settle()
        resolve(value)
      }, (error: unknown) => {
        if (settle()) reject(this.#judge(toError(error)))
      })
    })
  }

  /** What an error means, for its command and for the line. */
  #judge (error: Error): Error {
    const { message } = error
    if (full.test(message)) return causedBy(new EngineFullError(message), error)
    if (isReply.test(message) && !unfit.test(message)) return causedBy(new EngineError(`refused a command: ${message}`), error)
    const reason = unavailable(error)
    this.end(reason)
    return reason
  }
}

function sizeOf (command: readonly Argument[]): number {
  return command.reduce((sum, argument) => sum + argument.length, 0)
}

function unavailable (error: Error): Error {
  return causedBy(new EngineError(`does not answer: ${error.message || error.name}`), error)
}

function causedBy (error: Error, cause: Error): Error {
  error.cause = cause
  return error
}
