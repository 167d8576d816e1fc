import { spawn, type ChildProcess } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until, within } from '../../e2e/harness/until.ts'
import { stopProcess } from './stopped-process.ts'

/** What can be registered for the end of a test: tap's tests, and the scopes of the contract. */
export type AtEnd = (end: () => unknown) => void

const program = process.env.NATS_SERVER_PATH || '/usr/sbin/nats-server'
const startWithinMs = 20_000

/** A NATS server with JetStream on the loopback. It ends with the test, and with the process. */
export class NatsServer {
  readonly #folder: string
  readonly #options: readonly string[]
  readonly #hasJetStream: boolean
  #process: ChildProcess | undefined
  #ended: Promise<void> = Promise.resolve()
  #port = -1
  #output = ''

  private constructor (folder: string, options: readonly string[], hasJetStream: boolean) {
    this.#folder = folder
    this.#hasJetStream = hasJetStream
    this.#options = options
  }

  /** @param options further words of its command line */
  static async start (atEnd: AtEnd, options: readonly string[] = [], hasJetStream = true): Promise<NatsServer> {
    const folder = mkdtempSync(join(tmpdir(), 'tether-nats-'))
    const server = new NatsServer(folder, options, hasJetStream)
    atEnd(async () => {
      await server.kill()
      rmSync(folder, { recursive: true, force: true })
    })
    await server.start()
    return server
  }

  get port (): number {
    return this.#port
  }

  /** Everything that it printed so far. */
  get output (): string {
    return this.#output
  }

  /** Starts it, at the same port as before. */
  async start (): Promise<void> {
    const ports = join(this.#folder, 'ports')
    rmSync(ports, { recursive: true, force: true })
    mkdirSync(ports)
    // The kernel ends it when this process dies, however that happens.
    const child = this.#process = spawn('setpriv', ['--pdeathsig', 'KILL', program, '-a', '127.0.0.1', '-p', String(this.#port), ...this.#hasJetStream ? ['-js'] : [], '-sd', join(this.#folder, 'store'), '--ports_file_dir', ports, ...this.#options], {
      stdio: ['ignore', 'ignore', 'pipe']
    })
    child.stderr!.on('data', (data: Buffer) => { this.#output = (this.#output + data.toString()).slice(-100_000) })
    let isOver = false
    this.#ended = new Promise<void>((resolve, reject) => child.on('error', reject).on('close', () => {
      isOver = true
      resolve()
    }))
    this.#ended.catch(() => {})
    // Written when it listens.
    await until(() => isOver || readdirSync(ports).length > 0, 'a NATS server that listens', startWithinMs)
    if (isOver) throw new Error(`nats-server ended:\n${this.#output}`)
    const { nats } = await until(() => readPorts(join(ports, readdirSync(ports)[0]!)), 'its ports')
    this.#port = Number(new URL(nats[0]).port)
  }

  /** Ends it as a crash does. */
  async kill (): Promise<void> {
    if (this.#process === undefined) return
    this.#process.kill('SIGKILL')
    await within(this.#ended, 'the end of the NATS server')
    this.#process = undefined
  }

  /** Ends it and starts it with what is on its disk. */
  async restart (): Promise<void> {
    await this.kill()
    await this.start()
  }

  /** Stops it, with all connections open, until `thaw`. */
  async freeze (): Promise<void> {
    await stopProcess(this.#process!.pid!)
  }

  thaw (): void {
    this.#process!.kill('SIGCONT')
  }

  /** Ends it and starts it without what was on its disk. */
  async empty (): Promise<void> {
    await this.kill()
    rmSync(join(this.#folder, 'store'), { recursive: true, force: true })
    await this.start()
  }

  /** Copies its disk. */
  async keep (): Promise<void> {
    await this.kill()
    cpSync(join(this.#folder, 'store'), join(this.#folder, 'kept'), { recursive: true })
    await this.start()
  }

  /** Ends it and starts it with its disk as it was at `keep`: a machine that lost its last writes. */
  async goBack (): Promise<void> {
    await this.kill()
    rmSync(join(this.#folder, 'store'), { recursive: true, force: true })
    cpSync(join(this.#folder, 'kept'), join(this.#folder, 'store'), { recursive: true })
    await this.start()
  }
}

/** Null while the file is being written. */
function readPorts (file: string): { nats: [string] } | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return null
  }
}
