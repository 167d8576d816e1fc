import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Notice, Order, ServerProtocol, ServerReport } from './messages.ts'

const silenceMs = 60_000

type Listening = Notice & { type: 'listening' }

/** The server of a chaos run, seen from outside. */
export class ServerProcess {
  readonly ports: Readonly<Record<ServerProtocol, number>>
  readonly cert: string
  readonly #child: ChildProcess

  private constructor (child: ChildProcess, { ports, cert }: Listening) {
    this.#child = child
    this.ports = ports
    this.cert = cert
  }

  static async start (): Promise<ServerProcess> {
    const child = fork(fileURLToPath(new URL('server.ts', import.meta.url)), { execArgv: ['--import', 'tsx/esm'] })
    const ended = once(child, 'exit').then(([code, signal]) => { throw new Error(`the server ended before it listened: ${code ?? signal}`) })
    ended.catch(() => {})
    const [notice] = await Promise.race([once(child, 'message'), ended]) as [Listening]
    return new ServerProcess(child, notice)
  }

  send (updates: number, withinMs: number, seed: number): void {
    this.#order({ type: 'send', updates, withinMs, seed })
  }

  async report (): Promise<ServerReport> {
    this.#order({ type: 'report' })
    // A process that hangs would never answer.
    const silence = AbortSignal.timeout(silenceMs)
    const [notice] = await once(this.#child, 'message', { signal: silence }).catch((error: Error) => {
      throw silence.aborted ? new Error(`the server gives no sign of life for ${silenceMs / 1_000} s`) : error
    }) as [Notice & { type: 'report' }]
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
