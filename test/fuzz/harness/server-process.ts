import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface FuzzReport {
  /** Rejections and exceptions that nobody handled, and what was logged as an error. */
  readonly complaints: string[]
  /** Events whose handler ran. */
  readonly handled: number
  readonly eventsAccepted: number
  readonly sessions: number
  readonly streams: number
  readonly pending: number
  readonly bufferedBytes: number
  readonly groups: number
  /** After a collection. */
  readonly heapUsed: number
}

/** The server that is fuzzed, seen from outside. */
export class FuzzedServer {
  readonly port: number
  readonly #child: ChildProcess

  private constructor (child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  static async start (): Promise<FuzzedServer> {
    const child = fork(fileURLToPath(new URL('server.ts', import.meta.url)), { execArgv: ['--expose-gc', '--import', 'tsx/esm'] })
    const ended = once(child, 'exit').then(([code, signal]) => { throw new Error(`the server ended before it listened: ${code ?? signal}`) })
    ended.catch(() => {})
    const [port] = await Promise.race([once(child, 'message'), ended]) as [number]
    return new FuzzedServer(child, port)
  }

  get isAlive (): boolean { return this.#child.connected }

  async report (): Promise<FuzzReport> {
    if (!this.isAlive) throw new Error('the server\'s process is gone')
    this.#child.send('report')
    const [report] = await once(this.#child, 'message') as [FuzzReport]
    return report
  }

  /** Returns its exit code; null when it had to be killed. */
  async stop (): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode
    const exit = once(this.#child, 'exit')
    if (this.isAlive) this.#child.send('stop')
    const timer = setTimeout(() => { this.#child.kill('SIGKILL') }, 20_000)
    const [code] = await exit
    clearTimeout(timer)
    return code
  }
}
