import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { until } from '../../e2e/harness/until.ts'
import { stopProcess } from './stopped-process.ts'

const program = fileURLToPath(new URL('local-process.ts', import.meta.url))

/** A process with one node on the local hub, as its parent sees it. */
export class LocalProcess {
  readonly node: string
  readonly states: string[] = []
  readonly entries: string[] = []
  readonly appended: string[] = []
  readonly written: string[] = []
  readonly #child: ChildProcess
  readonly #calls = new Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>()
  #lastId = 0

  constructor (directory: string, application: string, node: string, isDurable = true) {
    this.node = node
    this.#child = fork(program, [directory, application, node, isDurable ? 'durable' : 'fleeting'], { execArgv: ['--import', 'tsx'] })
    this.#child.on('message', (message: Record<string, any>) => {
      if ('state' in message) this.states.push(message.state)
      else if ('entry' in message) this.entries.push(message.entry)
      else if ('appended' in message) this.appended.push(message.appended)
      else if ('written' in message) this.written.push(message.written)
      else if ('id' in message) {
        const call = this.#calls.get(message.id)!
        this.#calls.delete(message.id)
        if ('error' in message) call.reject(new Error(message.error))
        else call.resolve(message.result)
      }
    })
  }

  get isUp (): boolean { return this.states.at(-1) === 'up' }

  async up (): Promise<this> {
    await until(() => this.isUp, `${this.node} is up`)
    return this
  }

  call (call: string, ...args: Array<string | number | null>): Promise<any> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject })
      this.#child.send({ id, call, args })
    })
  }

  /** Stops the process until {@link thaw}. */
  async freeze (): Promise<void> {
    await stopProcess(this.#child.pid!)
  }

  thaw (): void {
    this.#child.kill('SIGCONT')
  }

  /** Kills the process, and waits until it is gone. */
  async kill (): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill('SIGKILL')
    await gone
  }
}
