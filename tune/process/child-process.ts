import { fork, type ChildProcess as NodeChildProcess } from 'node:child_process'
import { basename } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { endRequest, readyId, type Answer, type Calls } from './child-endpoint.ts'

export interface ChildOptions {
  /** Name of the process in every error. */
  readonly name: string
  /** Longest time until the module answers requests. */
  readonly startTimeoutMs?: number
  /** Program and its words before the module. Default: the running Node.js, with its own words. */
  readonly command?: { readonly execPath: string, readonly execArgv: readonly string[] } | undefined
}

interface Waiting {
  readonly description: string
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

const defaultStartTimeoutMs = 30_000
const defaultCallTimeoutMs = 30_000
const stopTimeoutMs = 2_000
const keptOutputLength = 4_000

const running = new Set<NodeChildProcess>()

function killAll (): void {
  for (const child of running) child.kill('SIGKILL')
}

process.on('exit', killAll)

/**
 * A module in a process of its own that answers typed requests. It never outlives this process,
 * every request has a time limit, and its death rejects the waiting requests, with the end of its output.
 */
export class ChildProcess<Handlers extends Calls> {
  readonly #name: string
  readonly #process: NodeChildProcess
  readonly #waiting = new Map<number, Waiting>()
  #lastId = readyId
  #output = ''
  #ended: Error | undefined

  private constructor (module: URL, options: ChildOptions) {
    this.#name = options.name
    const { execPath, execArgv } = options.command ?? { execPath: process.execPath, execArgv: process.execArgv }
    this.#process = fork(fileURLToPath(module), [], { execPath, execArgv: [...execArgv], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    running.add(this.#process)
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-keptOutputLength)
      })
    }
    this.#process.on('message', (message) => this.#settle(message as Answer))
    this.#process.on('error', (error) => this.#end(`cannot be run: ${error.message}`))
    // 'close' rather than 'exit': it comes once the output has been read to its end.
    this.#process.on('close', (code, signal) => this.#end(`ended with ${signal ?? `code ${code}`}`))
  }

  static async start<Handlers extends Calls> (module: URL, options: ChildOptions): Promise<ChildProcess<Handlers>> {
    const child = new ChildProcess<Handlers>(module, options)
    const startTimeoutMs = options.startTimeoutMs ?? defaultStartTimeoutMs
    try {
      await child.#wait(readyId, `start of ${basename(module.pathname)}`, startTimeoutMs)
    } catch (error) {
      await child.stop()
      throw error
    }
    return child
  }

  get pid (): number | undefined { return this.#process.pid }

  async call<Name extends keyof Handlers & string> (
    name: Name,
    argument: Parameters<Handlers[Name]>[0],
    timeoutMs = defaultCallTimeoutMs
  ): Promise<Awaited<ReturnType<Handlers[Name]>>> {
    if (this.#ended !== undefined) throw this.#ended
    const id = ++this.#lastId
    const result = this.#wait(id, `'${name}'`, timeoutMs)
    this.#process.send({ id, name, argument: argument ?? null }, (error) => {
      if (error !== null) this.#settle({ id, error: error.message })
    })
    return await result as Awaited<ReturnType<Handlers[Name]>>
  }

  /** Ends the process, by a request first and then by a signal. Resolves when it is gone. */
  async stop (): Promise<void> {
    if (!running.has(this.#process)) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#process.kill('SIGKILL'), stopTimeoutMs)
      this.#process.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
      // A request, not a disconnect: after our own disconnect() Node never emits 'close'.
      this.#process.send(endRequest, (error) => {
        if (error !== null) this.#process.kill('SIGKILL')
      })
    })
  }

  #wait (id: number, description: string, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id)
        reject(this.#failure(`did not finish ${description} within ${timeoutMs} ms`))
      }, timeoutMs)
      this.#waiting.set(id, { description, resolve, reject, timer })
    })
  }

  #settle (answer: Answer): void {
    const waiting = this.#waiting.get(answer.id)
    if (waiting === undefined) return
    this.#waiting.delete(answer.id)
    clearTimeout(waiting.timer)
    if ('error' in answer) waiting.reject(new Error(`${this.#name}: ${waiting.description} failed: ${answer.error}`))
    else waiting.resolve(answer.result)
  }

  #end (what: string): void {
    running.delete(this.#process)
    this.#ended ??= this.#failure(what)
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer)
      reject(this.#ended)
    }
    this.#waiting.clear()
  }

  #failure (what: string): Error {
    const output = this.#output.trim()
    const process = `${this.#name} (process ${this.#process.pid ?? 'not started'})`
    return new Error(output === '' ? `${process} ${what}` : `${process} ${what}; the end of its output:\n${output}`)
  }
}
