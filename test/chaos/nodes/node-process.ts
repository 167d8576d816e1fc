import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { Meeting } from './engines.ts'
import type { Load, NodeCalls, Persist, Ports } from './messages.ts'

const silenceMs = 60_000

/** Makes one file of a node's program and all that it imports: processes start in a quarter of the time. */
export async function buildNode (directory: string): Promise<string> {
  const program = join(directory, 'node.cjs')
  await build({ entryPoints: [fileURLToPath(new URL('node.ts', import.meta.url))], outfile: program, bundle: true, platform: 'node', format: 'cjs', logLevel: 'error' })
  return program
}

/** A node of a chaos run, seen from outside. */
export class NodeProcess {
  readonly diary: string
  ports: Ports = { http1: 0, http2: 0 }
  wasKilled = false
  readonly #child: ChildProcess
  readonly #calls = new Map<number, { resolve: (result: any) => void, reject: (error: Error) => void }>()
  #lastId = 0

  constructor (program: string, meeting: Meeting, diary: string, persist?: Persist) {
    this.diary = diary
    this.#child = fork(program, [JSON.stringify(meeting), diary, ...persist === undefined ? [] : [persist]], { execArgv: [] })
    this.#child.on('message', ({ id, result, error }: { id: number, result: unknown, error?: string }) => {
      if (error === undefined) this.#calls.get(id)!.resolve(result)
      else this.#calls.get(id)!.reject(new Error(error))
      this.#calls.delete(id)
    })
    this.#child.on('exit', (code, signal) => {
      for (const { reject } of this.#calls.values()) reject(new Error(`the node's process is gone: ${code ?? signal}`))
      this.#calls.clear()
    })
  }

  get isRunning (): boolean { return this.#child.exitCode === null && this.#child.signalCode === null }

  call<Call extends keyof NodeCalls> (call: Call, argument?: Load): Promise<NodeCalls[Call]> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      // A process that hangs would never answer.
      const timer = setTimeout(() => { reject(new Error(`a node gives no answer to ${call} for ${silenceMs / 1_000} s`)) }, silenceMs)
      const settled = () => { clearTimeout(timer) }
      this.#calls.set(id, {
        resolve: (result) => {
          settled()
          resolve(result)
        },
        reject: (error) => {
          settled()
          reject(error)
        }
      })
      if (this.#child.connected) this.#child.send({ id, call, argument })
      else this.#calls.get(id)!.reject(new Error('the node\'s process is gone'))
    })
  }

  async start (): Promise<this> {
    this.ports = await this.call('start')
    return this
  }

  async kill (): Promise<void> {
    this.wasKilled = true
    await this.end()
  }

  /** Ends the process, if it runs, and waits until it is gone. */
  async end (): Promise<void> {
    if (!this.isRunning) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}
