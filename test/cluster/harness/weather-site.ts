import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { Server } from '../../e2e/harness/server.ts'
import { until } from '../../e2e/harness/until.ts'
import { startRelay, type Relay, type Scope } from './relay.ts'
import { stopProcess } from './stopped-process.ts'
import type { Calls, Joined, NodeSettings } from './weather-messages.ts'

const silenceMs = 30_000

/** A node in a process of its own, with a relay between it and the engine's server. */
export class WeatherNode implements Pick<Server, 'protocol' | 'origin' | 'port' | 'readers'> {
  readonly protocol = 'http/1.1'
  readonly readers = new Set<{ destroy: () => void }>()
  readonly relay: Relay
  port = 0
  name = ''
  readonly #child: ChildProcess
  readonly #calls = new Map<number, { resolve: (result: any) => void, reject: (error: Error) => void }>()
  #lastId = 0

  constructor (program: string, settings: NodeSettings, relay: Relay) {
    this.relay = relay
    this.#child = fork(program, [JSON.stringify(settings)], { execArgv: [] })
    this.#child.on('message', ({ id, result, error }: { id: number, result: unknown, error?: string }) => {
      const call = this.#calls.get(id)
      this.#calls.delete(id)
      if (error === undefined) call?.resolve(result)
      else call?.reject(new Error(error))
    })
    this.#child.on('exit', (code, signal) => {
      for (const { reject } of this.#calls.values()) reject(new Error(`the node's process is gone: ${code ?? signal}`))
      this.#calls.clear()
    })
  }

  get origin (): string { return `http://127.0.0.1:${this.port}` }
  get isRunning (): boolean { return this.#child.exitCode === null && this.#child.signalCode === null }

  call<Call extends keyof Calls> (call: Call, ...given: Parameters<Calls[Call]>): Promise<ReturnType<Calls[Call]>> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      // A process that hangs would never answer.
      const timer = setTimeout(() => { reject(new Error(`a node gives no answer to ${call}`)) }, silenceMs)
      this.#calls.set(id, {
        resolve (result) {
          clearTimeout(timer)
          resolve(result)
        },
        reject (error) {
          clearTimeout(timer)
          reject(error)
        }
      })
      if (this.#child.connected) this.#child.send({ id, call, given })
      else this.#calls.get(id)!.reject(new Error('the node\'s process is gone'))
    })
  }

  async start (): Promise<this> {
    this.port = await this.call('start')
    this.name = await this.call('name')
    return this
  }

  isIn (status: string): Promise<void> {
    return until(async () => await this.call('status') === status, `${this.name} is ${status}`, silenceMs).then(() => {})
  }

  /** Stops it, with all connections open, until `wake`. */
  freeze (): Promise<void> { return stopProcess(this.#child.pid!) }
  wake (): void { this.#child.kill('SIGCONT') }

  /** Ends it as a crash does, and waits until it is gone. */
  async kill (): Promise<void> {
    for (const reader of this.readers) reader.destroy()
    if (!this.isRunning) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}

export type SiteSettings = Omit<NodeSettings, 'engine'> & {
  readonly engine?: NodeSettings['engine']['options'] & { readonly isCluster?: boolean }
}

/** Where nodes are started that belong together. */
export class Site {
  readonly nodes: WeatherNode[] = []
  readonly #scope: Scope
  readonly #program: string
  readonly #settings: SiteSettings
  /** The port of the engine's server. */
  target: number

  private constructor (scope: Scope, program: string, target: number, settings: SiteSettings) {
    this.#scope = scope
    this.#program = program
    this.target = target
    this.#settings = settings
  }

  static async of (scope: Scope, target: number, settings: SiteSettings): Promise<Site> {
    const directory = mkdtempSync(join(tmpdir(), 'tether-weather-'))
    scope.after(() => { rmSync(directory, { recursive: true, force: true }) })
    // One file of all that it imports: processes start in a quarter of the time.
    const program = join(directory, 'node.cjs')
    await build({ entryPoints: [fileURLToPath(new URL('weather-node.ts', import.meta.url))], outfile: program, bundle: true, platform: 'node', format: 'cjs', logLevel: 'error' })
    return new Site(scope, program, target, settings)
  }

  /** Starts nodes, each by a client's library and with further settings, and waits until all know each other. */
  async start (clients: ReadonlyArray<Joined | readonly [Joined, Partial<SiteSettings>]>): Promise<WeatherNode[]> {
    const started = await Promise.all(clients.map(async (given) => {
      const [client, own] = typeof given === 'string' ? [given, {}] : given
      const { engine: { isCluster, ...options } = {}, ...rest } = { ...this.#settings, ...own }
      const relay = await startRelay(this.#scope, this.target)
      // The servers of a cluster name themselves: nothing stands between.
      const port = isCluster === true ? this.target : relay.port
      const node = new WeatherNode(this.#program, { ...rest, engine: { client, port, options, ...isCluster === undefined ? {} : { isCluster } } }, relay)
      this.nodes.push(node)
      this.#scope.after(() => node.kill())
      return await node.start()
    }))
    await this.isCalm()
    return started
  }

  get living (): WeatherNode[] { return this.nodes.filter(({ isRunning }) => isRunning) }

  /** Resolves when all living nodes know each other, nobody else, and are ready. */
  async isCalm (): Promise<void> {
    const { living } = this
    await until(async () => {
      const states = await Promise.all(living.map(async (node) => [await node.call('status'), (await node.call('nodes')).length] as const))
      return states.every(([status, count]) => status === 'ready' && count === living.length)
    }, 'all nodes are ready', silenceMs)
  }
}
