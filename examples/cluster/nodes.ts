import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'

const againAfterMs = 1000
const leaveWithinMs = 8000

/** The processes of the nodes: it starts them, replaces them, and starts one anew that ends by itself. */
export class Nodes {
  readonly #name: string
  readonly #all = new Map<ChildProcess, Promise<void>>()
  /** Those that get requests. */
  readonly #ports = new Map<ChildProcess, number>()
  readonly #replaced = new WeakSet<ChildProcess>()
  #isLeaving = false

  /** @param name of the cluster */
  constructor (name: string) {
    this.#name = name
  }

  /** Where the nodes take requests. */
  get ports (): readonly number[] {
    return [...this.#ports.values()]
  }

  /** Starts a node. Resolves when it takes requests; rejects if it ends before. */
  async start (): Promise<void> {
    const node = fork(join(import.meta.dirname, 'node.ts'), [this.#name])
    await new Promise<void>((resolve, reject) => {
      node.on('message', (message: { port: number } | 'replace') => {
        if (message === 'replace') return this.#replace(node)
        this.#ports.set(node, message.port)
        resolve()
      })
      node.on('error', reject)
      this.#all.set(node, new Promise((resolve) => {
        node.once('exit', (code, signal) => {
          this.#all.delete(node)
          if (this.#ports.delete(node) && !this.#replaced.has(node)) this.#startAgain()
          reject(new Error(`A node ended before it took requests: ${signal ?? code}.`))
          resolve()
        })
      }))
    })
  }

  /** Ends all of them, and nothing else. Never rejects. */
  async leave (): Promise<void> {
    this.#isLeaving = true
    await Promise.all([...this.#all.keys()].map((node) => this.#end(node)))
  }

  #startAgain (): void {
    if (this.#isLeaving) return
    this.start().catch(() => setTimeout(() => this.#startAgain(), againAfterMs).unref())
  }

  // The new one first: there is always one that takes requests.
  async #replace (node: ChildProcess): Promise<void> {
    if (this.#isLeaving || this.#replaced.has(node)) return
    this.#replaced.add(node)
    while (!this.#isLeaving && !await this.start().then(() => true, () => false)) await new Promise((resolve) => setTimeout(resolve, againAfterMs))
    this.#ports.delete(node)
    await this.#end(node)
  }

  async #end (node: ChildProcess): Promise<void> {
    const ended = this.#all.get(node)
    // It may have ended by itself, or be about to.
    if (node.connected) node.send('leave', () => {})
    const timer = setTimeout(() => node.kill('SIGKILL'), leaveWithinMs)
    await ended
    clearTimeout(timer)
  }
}
