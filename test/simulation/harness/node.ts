import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify'
import { observedOf } from '../../../plugin/app/observed.ts'
import { TetherCore } from '../../../plugin/app/tether.ts'
import type { EngineSource } from '../../../plugin/cluster/engine.ts'
import type { Handler, Tether, TetherOptions } from '../../../plugin/index.ts'
import { readClaim } from '../../../plugin/protocol/claim.ts'
import { turnedAwayFrame } from '../../../plugin/protocol/control-frame.ts'
import { Acceptance } from '../../../plugin/sessions/acceptance.ts'
import type { Endpoint } from '../../../plugin/sessions/endpoint.ts'
import { nextArrival, openSession } from '../../../plugin/sessions/opening.ts'
import { FrameStream } from '../../../plugin/streams/frame-stream.ts'
import { eventStreamOptions, type ResolvedUpgradeOptions } from '../../../plugin/streams/transport.ts'
import type { contract, Config, State } from './application.ts'
import type { Connection } from './connection.ts'
import type { VirtualProcess, VirtualTime } from './virtual-time.ts'

export const url = '/live'

/** A GET as a page sends it. */
export interface StreamRequest {
  /** `X-Tether-Session`; null for a page that reads exact ids. */
  readonly header: string | null
  readonly lastEventId: string | null
  /** Whether the page has given it up. */
  readonly hasLeft: () => boolean
}

/** What a GET comes to: a stream, or the status of an answer. */
export type StreamAnswer = 'stream' | 204 | 500 | 503

export interface PostAnswer {
  readonly status: number
  /** Of a 202: the last event that was accepted, and the last one that survives the death of the node. */
  readonly seq: number
  readonly durable: number
}

type Live = Handler<State, typeof contract.updates>

/** The part of Fastify that is not here: routes are mounted nowhere, and what they call is called. */
const instance = { prefix: '', register: () => {} } as unknown as FastifyInstance

/** A node of the cluster, in a process of its own: the plugin as it is, but for sockets. */
export class SimulatedNode {
  readonly process: VirtualProcess
  readonly name: string
  readonly live: Live
  readonly tether: Tether
  readonly endpoint: Endpoint
  readonly #core: TetherCore
  readonly #acceptance: Acceptance
  readonly #stream: ResolvedUpgradeOptions
  readonly #time: VirtualTime
  readonly #log: FastifyBaseLogger
  readonly madeAt: number
  readonly connections = new Set<Connection>()
  /** Whether a balancer sends requests to it. */
  isReady = false
  isLeaving = false
  isStopped = false
  /** Broadcasts that it has sent. */
  sent = 0

  /** @param log gets what the node logs as a warning or an error */
  constructor (time: VirtualTime, process: VirtualProcess, engine: EngineSource, options: Omit<TetherOptions, 'cluster'>, cluster: object, config: (tether: Tether) => Config, log: (level: string, what: string) => void) {
    this.#time = time
    this.madeAt = time.now
    this.process = process
    this.#log = loggerOf(log)
    const { tether, core } = time.within(process, () => {
      const core = new TetherCore({ ...options, cluster: { engine, ...cluster } })
      return { core, tether: core.on({ ...instance, log: this.#log } as unknown as FastifyInstance) }
    })
    this.#core = core
    this.tether = tether
    const given = config(tether)
    this.live = time.within(process, () => tether.stateful(url, given)) as unknown as Live
    this.endpoint = observedOf({ tether }, 'simulation').endpoints[0]!
    this.#stream = Object.freeze({ ...eventStreamOptions(given.upgrade)!, goodbye: true })
    this.#acceptance = new Acceptance(this.endpoint)
    this.name = tether.cluster!.node
  }

  get isAlive (): boolean { return !this.process.isDead && !this.isStopped }
  get runtime () { return observedOf({ tether: this.tether }, 'simulation').runtime }
  get registry () { return observedOf({ tether: this.tether }, 'simulation').registry }

  /** Whether it may serve sessions, by its own clock. */
  get isServing (): boolean {
    return this.#time.within(this.process, () => this.endpoint.keeper?.isServing ?? true)
  }

  /** Whether a session that ends now ever had an event, or was resumed. */
  hasProved (ref: string): boolean {
    return this.endpoint.index.ofRef(ref)?.proven === true
  }

  /** Runs a function as the node does, in a task of its own. */
  do (run: () => void): void {
    this.#time.post(this.process, run)
  }

  start (): void {
    this.do(() => { this.#core.start(this.#log).then(() => { this.isReady = true }) })
  }

  /** Stops as in a deploy. */
  stop (retryMs: number): void {
    if (this.isLeaving) return
    this.isLeaving = true
    this.do(() => {
      (async () => {
        const stopping = this.tether.drain({ retryMs, spreadMs: 50, timeoutMs: 3_000 })
        await stopping
        this.isReady = false
        await this.#core.shutdown()
        await this.#core.leave()
        this.isStopped = true
      })()
    })
  }

  /** Serves a GET, as the route of event streams does. */
  get (request: StreamRequest, connection: Connection, beforeMs: number, answer: (answer: StreamAnswer) => void): void {
    const { endpoint, runtime } = this
    this.do(() => {
      const claim = readClaim(request.header, request.lastEventId, null)
      const socket = { get destroyed () { return request.hasLeft() } }
      const raw = { raw: { socket }, ip: '127.0.0.1', headers: {}, query: {} } as unknown as FastifyRequest
      openSession(endpoint, claim, raw, {
        open: async () => {
          // Hooks of the application run before the head leaves.
          if (beforeMs > 0) await new Promise((resolve) => { setTimeout(resolve, beforeMs) })
          if (request.hasLeft()) throw new Error('the client has left')
          this.connections.add(connection)
          answer('stream')
          return this.#open(connection)
        },
        gone: () => { answer(204) },
        turnAway: (reason) => {
          if (claim.counted) return answer(503)
          this.connections.add(connection)
          answer('stream')
          const stream = this.#open(connection)
          stream.close(turnedAwayFrame(reason), runtime.limits.shutdownMs, 'closed')
        }
      }, nextArrival()).catch(() => { answer(500) })
    })
  }

  #open (connection: Connection): FrameStream {
    const stream = new FrameStream(connection, this.#stream, this.runtime, '', this.#log, url)
    if (this.runtime.draining) stream.close(turnedAwayFrame('draining'), this.runtime.limits.shutdownMs, 'closed')
    return stream
  }

  /** Serves a POST of an envelope, or of an array of them. */
  post (session: string, lastEventId: string | undefined, body: unknown, answer: (answer: PostAnswer) => void): void {
    this.do(() => {
      const settle = (outcome: Awaited<ReturnType<Acceptance['acceptFor']>>) => {
        const seq = outcome.isAccepted ? outcome.seq : 0
        answer({ status: outcome.status, seq, durable: (outcome as { readonly durable?: number }).durable ?? seq })
      }
      const outcome = this.#acceptance.acceptFor(session, { ip: '127.0.0.1' } as FastifyRequest, { event: null, body, isForm: false, bytes: 100, sender: null, lastEventId })
      if (outcome instanceof Promise) outcome.then(settle)
      else settle(outcome)
    })
  }

  /** A page says goodbye. */
  leave (session: string): void {
    this.do(() => { this.#acceptance.acceptFor(session, { ip: '127.0.0.1' } as FastifyRequest, { event: 'tether.close', body: {}, isForm: false, bytes: 10, sender: null, lastEventId: undefined }) })
  }

  broadcast (at: number, padding: string): void {
    const data = { from: this.name, n: ++this.sent, at, padding }
    if (this.sent % 4 === 0) this.live.group('members').broadcast('all', data)
    else this.live.broadcast('all', data)
  }

  /** What is left of a node that has stopped, or of one without sessions; empty for nothing. */
  remains (): string[] {
    const { runtime, registry, endpoint } = this
    const left: Record<string, number> = {
      sessions: endpoint.sessions.size,
      slots: registry.size + registry.reserved,
      owners: registry.ownerCount,
      members: endpoint.everyone.members.size,
      groups: endpoint.groups.audience('members')?.size ?? 0,
      streams: runtime.streams.size,
      deadlines: runtime.deadlines.size,
      bytes: runtime.budget.used,
      tasks: this.process.pending.size
    }
    const tasks = [...this.process.pending].map(({ run, at }) => `${at.toFixed(0)}: ${run.toString().replaceAll(/\s+/g, ' ').slice(0, 100)}`)
    return [...Object.entries(left).filter(([, count]) => count !== 0).map(([what, count]) => `${count} ${what}`), ...tasks]
  }
}

function loggerOf (log: (level: string, what: string) => void): FastifyBaseLogger {
  const note = (level: string) => (given: unknown, text?: string) => {
    const { err, ...rest } = (typeof given === 'object' && given !== null ? given : { given }) as { err?: unknown }
    log(level, `${text ?? ''} ${JSON.stringify(rest)} ${err === undefined ? '' : String((err as Error).message)}`)
  }
  const nothing = () => {}
  const logger = { level: 'warn', fatal: note('fatal'), error: note('error'), warn: note('warn'), info: nothing, debug: nothing, trace: nothing, silent: nothing, child: () => logger } as unknown as FastifyBaseLogger
  return logger
}
