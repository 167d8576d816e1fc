import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Notice, Order, ServerReport } from './messages.ts'

/** The server of a chaos run, seen from outside. */
export class ServerProcess {
  readonly port: number
  readonly #child: ChildProcess

  private constructor (child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  static async start (): Promise<ServerProcess> {
    const child = fork(fileURLToPath(new URL('server.ts', import.meta.url)), { execArgv: ['--import', 'tsx/esm'] })
    const ended = once(child, 'exit').then(([code, signal]) => { throw new Error(`the server ended before it listened: ${code ?? signal}`) })
    ended.catch(() => {})
    const [notice] = await Promise.race([once(child, 'message'), ended]) as [Notice & { type: 'listening' }]
    return new ServerProcess(child, notice.port)
  }

  send (updates: number, withinMs: number, seed: number): void {
    this.#order({ type: 'send', updates, withinMs, seed })
  }

  async report (): Promise<ServerReport> {
    this.#order({ type: 'report' })
    const [notice] = await once(this.#child, 'message') as [Notice & { type: 'report' }]
    return notice.report
  }

  async stop (): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exit = once(this.#child, 'exit')
    if (this.#child.connected) this.#order({ type: 'stop' })
    const timer = setTimeout(() => { this.#child.kill('SIGKILL') }, 10_000)
    await exit
    clearTimeout(timer)
  }

  #order (order: Order): void {
    if (!this.#child.connected) throw new Error('the server\'s process is gone')
    this.#child.send(order)
  }
}
