import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { StreamReader, type Reader } from '../../e2e/harness/reader.ts'
import { RawResponse } from '../../e2e/harness/raw-response.ts'
import { until } from '../../e2e/harness/until.ts'

const program = fileURLToPath(new URL('node-process.ts', import.meta.url))

/** A process with one node of an application, as its parent sees it. */
export class NodeProcess {
  #port = 0
  readonly #child: ChildProcess
  readonly #calls = new Map<number, (value: any) => void>()
  readonly #readers: Reader[] = []
  #lastId = 0

  constructor (t: Test, directory: string) {
    this.#child = fork(program, [directory], { execArgv: ['--import', 'tsx'] })
    this.#child.on('message', (message: { port: number } | { id: number, result: unknown }) => {
      if ('port' in message) this.#port = message.port
      else this.#calls.get(message.id)!(message.result)
    })
    t.teardown(async () => {
      for (const reader of this.#readers) reader.destroy()
      await this.kill()
    })
  }

  async listening (): Promise<this> {
    await until(() => this.#port > 0, 'the process listens')
    return this
  }

  call (call: 'status' | 'nodes' | 'stats' | 'load' | 'close', ...args: Array<string | number>): Promise<any> {
    const id = ++this.#lastId
    return new Promise((resolve) => {
      this.#calls.set(id, resolve)
      this.#child.send({ id, call, args })
    })
  }

  async read (): Promise<Reader> {
    const reader = new StreamReader(new RawResponse(this.#port, '/live', { accept: 'text/event-stream' }, {}, false))
    this.#readers.push(reader)
    await until(() => reader.controls.length > 0, 'the hello')
    return reader
  }

  /** Kills the process, and waits until it is gone. */
  async kill (): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill('SIGKILL')
    await gone
  }
}
