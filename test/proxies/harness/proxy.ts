import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { certificate } from '../../e2e/harness/certificate.ts'
import type { Protocol } from '../../e2e/harness/server.ts'
import { within } from '../../e2e/harness/until.ts'
import { freePort } from '../../harness/free-port.ts'

/** What a proxy's configuration is fitted to. */
export interface Place {
  /** Only the proxy's, and gone after the test. */
  readonly folder: string
  readonly port: number
  readonly upstreamPort: number
  /** Files in PEM. */
  readonly certificatePath: string
  readonly keyPath: string
  /** Holds both. */
  readonly bundlePath: string
  readonly isRoot: boolean
  /** After how many seconds of silence the proxy is to end a stream, in place of those configured. */
  readonly idleSeconds?: number | undefined
}

export interface Launch {
  /** Name and content of the configuration's file. */
  readonly file: readonly [name: string, content: string]
  readonly args: readonly string[]
}

export interface ProxyKind {
  readonly program: string
  /** Variable of the environment that names another program. */
  readonly override: string
  /** Whether some releases of Debian have no package of it; it is then not tested, and the totals count it as skipped. */
  readonly mayBeAbsent?: boolean
  /** Marks its configuration in docs/deploying.md. */
  readonly language: string
  /** What it speaks with clients. */
  readonly protocols: readonly Protocol[]
  /** Fits the configuration, documented or changed for a test, to its place. */
  readonly launch: (configuration: string, place: Place) => Launch
  /** Whether it ends what is silent for long: streams, and WebSockets as well unless said otherwise. */
  readonly endsSilence: boolean | 'of streams'
  /** What it may answer in place of an application that refuses a body before all of it has arrived. */
  readonly statusOfUnreadBody?: number
  /** Over which protocols the application learns that a client left only when it writes, and after how many heartbeats; at once over the others. */
  readonly heartbeatsUntilLeft?: Partial<Record<Protocol, number>>
  /** Whether it says who asked for what, in the application's `trustProxy`'s words; yes, unless said otherwise. */
  readonly isTrusted?: false
  /** Whether WebSockets get through; yes, unless said otherwise. */
  readonly passesWebSockets?: false
  /** Whether it takes seconds to end when asked to, and is killed therefore. */
  readonly endsSlowly?: boolean
  /** What stands before it, because it cannot speak TLS itself. */
  readonly front?: ProxyKind
}

export interface Proxy {
  readonly port: number
  /** Everything that it printed so far. */
  output: () => string
  /** Ends it, with all connections, and starts it anew at the same port. */
  restart: () => Promise<void>
}

const modules = fileURLToPath(new URL('../../../node_modules', import.meta.url))
/** The reason not to test a proxy; false where there is none. */
export function absence ({ program, override, mayBeAbsent = false }: ProxyKind): string | false {
  if (!mayBeAbsent || process.env[override] || existsSync(program)) return false
  return `NOT RUN: ${program} is not installed, and this system has no package of it`
}

const startWithinMs = 60_000
const endWithinMs = 3_000

/** Starts a proxy on the loopback; it ends with the test, and with the process. */
export async function startProxy (t: Test, kind: ProxyKind, configuration: string, { upstreamPort, idleSeconds }: Pick<Place, 'upstreamPort' | 'idleSeconds'>): Promise<Proxy> {
  const folder = mkdtempSync(join(tmpdir(), 'tether-proxy-'))
  let child: RunningProxy | undefined
  t.teardown(async () => {
    await child?.end()
    rmSync(folder, { recursive: true, force: true })
  })
  const { cert, key } = certificate()
  const pem = (name: string, content: string): string => {
    const path = join(folder, name)
    writeFileSync(path, content, { mode: 0o600 })
    return path
  }
  const port = await freePort()
  const { file: [name, content], args } = kind.launch(configuration, {
    folder,
    port,
    upstreamPort,
    certificatePath: pem('certificate.pem', cert),
    keyPath: pem('key.pem', key),
    bundlePath: pem('bundle.pem', cert + key),
    isRoot: process.getuid?.() === 0,
    idleSeconds
  })
  writeFileSync(join(folder, name), content)
  // Those that are programs of npm find what they import.
  symlinkSync(modules, join(folder, 'node_modules'))
  const start = async () => {
    child = new RunningProxy(process.env[kind.override] || kind.program, args, folder, kind.endsSlowly ? 0 : endWithinMs)
    await child.listens(port)
  }
  await start()
  return {
    port,
    output: () => child?.output ?? '',
    restart: async () => {
      await child?.end()
      await start()
    }
  }
}

class RunningProxy {
  readonly #process: ChildProcess
  readonly #ended: Promise<void>
  #isOver = false
  #output = ''
  readonly #endWithinMs: number

  constructor (program: string, args: readonly string[], folder: string, endWithinMs: number) {
    this.#endWithinMs = endWithinMs
    // The kernel ends it when this process dies, however that happens.
    this.#process = spawn('setpriv', ['--pdeathsig', 'TERM', program, ...args], {
      cwd: folder,
      // A group of their own, so that its workers can be killed with it.
      detached: true,
      env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => { this.#output = (this.#output + text).slice(-20_000) })
    }
    this.#ended = new Promise((resolve) => {
      const settle = () => {
        this.#isOver = true
        resolve()
      }
      this.#process.once('close', settle).once('error', (error) => {
        this.#output += error.message
        settle()
      })
    })
  }

  get output (): string { return this.#output }

  /** Resolves when it takes connections. */
  async listens (port: number): Promise<void> {
    const deadline = performance.now() + startWithinMs
    while (!await answers(port)) {
      if (this.#isOver || performance.now() > deadline) {
        await this.end()
        throw new Error(`the proxy did not start: ${this.#output}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async end (): Promise<void> {
    if (this.#isOver) return
    this.#process.kill('SIGTERM')
    const killer = setTimeout(() => { this.#killAll() }, this.#endWithinMs)
    await within(this.#ended, 'the end of the proxy')
    clearTimeout(killer)
  }

  #killAll (): void {
    const { pid } = this.#process
    if (pid === undefined) return
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // All have ended meanwhile.
    }
  }
}

async function answers (port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
