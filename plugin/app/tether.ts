import { EventEmitter } from 'node:events'
import type { FastifyInstance } from 'fastify'
import type { EventSchemas, UpdateDefinitions } from '../../schemas/contract.ts'
import { defaults } from '../../schemas/defaults.ts'
import { drainOptionsSchema, upgradeOptionsSchema, webSocketUpgradeOptionsSchema } from '../../schemas/options.ts'
import { BroadcastQueue } from '../delivery/broadcast-queue.ts'
import { ByteBudget } from '../delivery/byte-budget.ts'
import { protocolCounts, type Protocol } from '../carriers/carrier.ts'
import { closeCodes } from '../protocol/close-code.ts'
import { CompiledContract } from '../contract/compiled-contract.ts'
import { Compression, type CompressionStats } from '../compression/compression.ts'
import { partingFrame } from '../protocol/control-frame.ts'
import { Counters, snapshot } from '../metrics/counters.ts'
import { DeadlineQueue } from '../delivery/deadline-queue.ts'
import { FlushScheduler } from '../delivery/flush-scheduler.ts'
import { FrameRuns } from '../streams/frame-batches.ts'
import type { Handler } from '../sessions/live-handler.ts'
import { Http2Connections } from '../streams/http2-connections.ts'
import { MemoryRelief } from './memory-relief.ts'
import { OptionValidator } from './option-validator.ts'
import { normalOrigin } from '../routes/origin.ts'
import type { Runtime } from '../streams/runtime.ts'
import { SessionHost } from '../sessions/endpoint.ts'
import { SessionRegistry, type SessionRefusals } from '../sessions/session-registry.ts'
import { openStream } from '../sse/sse-upgrade.ts'
import { checkConfig, mountRoutes, resolveSessionOptions } from '../routes/mount.ts'
import type { AccessOptions, AnyStatefulConfig, StatefulConfig } from '../routes/stateful-config.ts'
import type { Stream } from '../streams/stream.ts'
import { createMaker, eventStreamMaker, resolveTransports, webSocketMaker } from '../routes/transport-choice.ts'
import { asUpgrade, type CompressionOptions, type ResolvedCompression, type Upgrade, type UpgradeOptions } from '../streams/transport.ts'
import { createWebSocketUpgrade, type WebSocketUpgrade, type WebSocketUpgradeOptions } from '../websocket/websocket-upgrade.ts'

/** Options of `app.register(tether, options)`; they hold for all sessions of the instance together. */
export interface TetherOptions extends AccessOptions {
  /** Sessions at one time, with or without a stream; beyond, new ones are refused. At least 1. Default 10,000. */
  maxSessions?: number
  /**
   * Of these, sessions of one owner: who `bind` names, or where it names nobody, the
   * public address of the request (an IPv6 one by its first 64 bits); loopback and private
   * addresses own nothing. Beyond, new ones are refused as over `maxSessions`. 0: no limit.
   * Default 200, and a tenth of `maxSessions` for an address.
   */
  maxSessionsPerOwner?: number
  /** Sessions whose stream was opened on one HTTP/2 connection; beyond, new ones are refused. 0: no limit. Default 200. */
  maxSessionsPerConnection?: number
  /**
   * Sessions that may be without a stream at one time; beyond, the oldest of whoever has most go,
   * those first that never posted nor resumed. 0: none. Default a quarter of `maxSessions`.
   */
  maxDetached?: number
  /** Sessions made by `prepare` that wait for their page. 0: `prepare` gives null. Default 128. */
  maxPending?: number
  /** Milliseconds that they wait. At least 1. Default 30,000. */
  pendingMs?: number
  /**
   * Bytes of memory for updates that all sessions and transports hold together, shared ones
   * counted once, and for events that wait or run, which may have half of it. Beyond, who
   * holds most loses first, of each what was written before what waits; events get 429. At
   * least 1. Default 268,435,456.
   */
  maxBufferedBytes?: number
  /**
   * Bytes of memory for compressors that belong to one stream each; beyond, streams
   * share what is deflated once for all. 0: no stream has one. Default 67,108,864.
   */
  maxCompressorBytes?: number
}

/** Options of `app.tether.drain()`; whole numbers of milliseconds. */
export interface DrainOptions {
  /** How long to wait for the streams to end; then they are cut. 0: at once. Default 10,000. */
  timeoutMs?: number
  /** Soonest that a client is told to come back. Default 1,000. */
  retryMs?: number
  /** A random part on top, up to this, so that they do not all come back at once. 0: none. Default 10,000. */
  spreadMs?: number
}

/** Figures of all sessions and streams of the instance. */
export interface TetherStats extends Counters {
  /** Sessions now, those that are being closed included. */
  sessions: number
  /** Of these, with a full write buffer, their loop standing still. */
  stalled: number
  /** Of these, without a stream. */
  detached: number
  /** Of these, prepared and not claimed yet. */
  pending: number
  /** Open streams, of sessions and of plain routes. */
  streams: number
  /** These, by what they travel by. */
  protocols: Record<Protocol, number>
  /** Sessions refused since the plugin was registered, by the limit that was reached; `pipelined`: their GET was sent behind another. */
  refusals: SessionRefusals
  /** Bytes of updates held for all of them, shared ones counted once. */
  bufferedBytes: number
  /** About what memory these take, with events that wait or run; what `maxBufferedBytes` bounds. Bytes. */
  bufferedMemory: number
  /** Of this, events that wait or run. Bytes. */
  commandMemory: number
  /** What compressed streams were given, and what it became. */
  compression: CompressionStats
}

/** What `app.tether` is. */
export interface Tether {
  readonly sse: {
    /**
     * Gives the function that turns a request into a stream of server-sent events:
     * for `stateful`, or for any route of your own.
     *
     * @throws `FST_ERR_TETHER_OPTION` for an option that cannot be.
     */
    upgrade: (options?: UpgradeOptions) => Upgrade
  }
  readonly websocket: {
    /**
     * Gives the function that turns a WebSocket of `@fastify/websocket` into a stream:
     * for `stateful`, in mode `'websocket'` or `'both'`, or for a route of your own.
     *
     * @throws `FST_ERR_TETHER_OPTION` for an option that cannot be.
     */
    upgrade: (options?: WebSocketUpgradeOptions) => WebSocketUpgrade
  }
  /**
   * Mounts live sessions on this instance: `GET url` (the stream), `POST url` and
   * `POST url/:event` (events), with its prefix, hooks and decorators. Write `initialState`
   * before the handlers, or give its parameter a type: the state is inferred from it.
   *
   * @returns what broadcasts, groups and finds the sessions of this URL.
   * @throws `FST_ERR_TETHER_OPTION`, `FST_ERR_TETHER_MODE` or `FST_ERR_TETHER_CONTRACT`
   * for a configuration that cannot work. A URL that is taken fails when the
   * instance gets ready, as any route does.
   * @see docs/api.md, docs/options.md
   */
  stateful: <Events extends EventSchemas, Updates extends UpdateDefinitions, State = undefined>(url: string, config: StatefulConfig<Events, Updates, State>) => Handler<State, Updates>
  /**
   * Prepares for a stop: refuses new sessions, runs what was accepted, writes what
   * waits, and ends every stream with a goodbye and a `retry:` spread over time.
   *
   * @returns a promise that resolves when all sessions and streams have ended; what is
   * left when time is up is cut. A further call waits for the same, within its own
   * time. There is no way back. It rejects only with `FST_ERR_TETHER_OPTION`.
   */
  drain: (options?: DrainOptions) => Promise<void>
  /** Figures as they are now. */
  stats: () => TetherStats
}

const upgradeValidator = new OptionValidator('app.tether.sse.upgrade()', upgradeOptionsSchema)
const webSocketUpgradeValidator = new OptionValidator('app.tether.websocket.upgrade()', webSocketUpgradeOptionsSchema)
const drainValidator = new OptionValidator('app.tether.drain()', drainOptionsSchema)

// A client's setTimeout counts in a signed 32-bit integer.
const longestRetryMs = 2_147_483_647

/** One registered plugin: what its sessions and streams share, and their end. */
export class TetherCore {
  readonly #options: TetherOptions
  readonly #runtime: Runtime
  readonly #registry: SessionRegistry

  constructor (options: TetherOptions) {
    this.#options = options
    const { maxDetachedShare, ...fallback } = defaults.plugin
    const maxSessions = options.maxSessions ?? fallback.maxSessions
    this.#registry = new SessionRegistry({
      maxSessions,
      maxPerBinding: options.maxSessionsPerOwner ?? fallback.maxSessionsPerOwner,
      maxPerAddress: options.maxSessionsPerOwner ?? Math.ceil(maxSessions * defaults.fixed.addressShare),
      maxPerConnection: options.maxSessionsPerConnection ?? fallback.maxSessionsPerConnection,
      maxDetached: options.maxDetached ?? Math.ceil(maxSessions * maxDetachedShare),
      maxPending: options.maxPending ?? fallback.maxPending,
      pendingMs: options.pendingMs ?? fallback.pendingMs
    }, defaults.fixed.tombstones, () => { this.#runtime.endings.emit('end') })
    const runs = new FrameRuns()
    const budget = new ByteBudget(options.maxBufferedBytes ?? fallback.maxBufferedBytes)
    const broadcasts = new BroadcastQueue(budget, () => { this.#runtime.scheduler.wake() })
    this.#runtime = {
      scheduler: new FlushScheduler(broadcasts, () => runs.clear()),
      deadlines: new DeadlineQueue(),
      budget,
      broadcasts,
      runs,
      compression: new Compression(options.maxCompressorBytes ?? fallback.maxCompressorBytes),
      totals: new Counters(),
      streams: new Set<Stream>(),
      http2Connections: new Http2Connections(),
      endings: new EventEmitter(),
      draining: false
    }
    const registry = this.#registry
    const relief = new MemoryRelief(budget, function * () {
      yield * registry
      yield * budget.others
    })
    budget.onExceeded = () => relief.run()
  }

  /** What `app.tether` is on one instance; routes go to the very instance that it was reached through. */
  on (instance: FastifyInstance): Tether {
    return Object.freeze({
      sse: Object.freeze({ upgrade: createMaker(eventStreamMaker, (options?: UpgradeOptions) => this.#upgrade(options)) }),
      websocket: Object.freeze({ upgrade: createMaker(webSocketMaker, (options?: WebSocketUpgradeOptions) => this.#webSocketUpgrade(options)) }),
      stateful: ((url: string, config: AnyStatefulConfig) => this.#stateful(instance, url, config)) as Tether['stateful'],
      drain: (options?: DrainOptions) => this.#drain(options),
      stats: () => this.#stats()
    })
  }

  /** Ends everything within a bound; for Fastify's `preClose`, which may run more than once. */
  async shutdown (): Promise<void> {
    const { retryMs, spreadMs } = defaults.drain
    const { shutdownMs } = defaults.fixed
    await this.#end('shutdown', shutdownMs, retryMs, spreadMs)
    await this.#runtime.http2Connections.end(shutdownMs / 4)
  }

  #upgrade (options: UpgradeOptions = {}): Upgrade {
    upgradeValidator.check(options)
    const fallback = defaults.upgrade
    const resolved = Object.freeze({
      // As in the package that this option comes from, 0 stands for the default.
      writeBuffer: options.writeBuffer || fallback.writeBuffer,
      heartbeatMs: options.heartbeatMs ?? fallback.heartbeatMs,
      retryMs: options.retryMs ?? fallback.retryMs,
      stallTimeoutMs: options.stallTimeoutMs ?? fallback.stallTimeoutMs,
      goodbye: options.goodbye ?? fallback.goodbye,
      compression: resolveCompression(options.compression ?? fallback.compression)
    })
    return asUpgrade((request, reply) => openStream(request, reply, resolved, this.#runtime), resolved)
  }

  #webSocketUpgrade (options: WebSocketUpgradeOptions = {}): WebSocketUpgrade {
    webSocketUpgradeValidator.check(options)
    const fallback = defaults.websocket
    return createWebSocketUpgrade(Object.freeze({
      writeBuffer: options.writeBuffer || fallback.writeBuffer,
      heartbeatMs: options.heartbeatMs ?? fallback.heartbeatMs,
      retryMs: options.retryMs ?? fallback.retryMs,
      stallTimeoutMs: options.stallTimeoutMs ?? fallback.stallTimeoutMs,
      goodbye: options.goodbye ?? fallback.goodbye,
      openTimeoutMs: options.openTimeoutMs ?? fallback.openTimeoutMs
    }), this.#runtime)
  }

  #stateful (instance: FastifyInstance, url: string, config: AnyStatefulConfig): Handler {
    checkConfig(instance.prefix, url, config)
    const transports = resolveTransports(instance, config, { eventStream: () => this.#upgrade(), webSocket: () => this.#webSocketUpgrade() })
    const host = new SessionHost({
      contract: CompiledContract.of(config.contract),
      limits: resolveSessionOptions(config),
      config,
      bind: config.bind ?? this.#options.bind,
      trustedOrigins: new Set((config.trustedOrigins ?? this.#options.trustedOrigins ?? []).map(normalOrigin)),
      runtime: this.#runtime,
      registry: this.#registry,
      log: instance.log
    })
    mountRoutes(instance, url, host, transports)
    return host.context.live as Handler
  }

  async #drain (options: DrainOptions = {}): Promise<void> {
    drainValidator.check(options)
    const fallback = defaults.drain
    return this.#end('draining', options.timeoutMs ?? fallback.timeoutMs, options.retryMs ?? fallback.retryMs, options.spreadMs ?? fallback.spreadMs)
  }

  async #end (reason: 'draining' | 'shutdown', withinMs: number, retryMs: number, spreadMs: number): Promise<void> {
    const runtime = this.#runtime
    runtime.draining = true
    const spreadRetryMs = () => Math.min(retryMs + Math.floor(Math.random() * spreadMs), longestRetryMs)
    for (const session of this.#registry) session.beginClose(reason, true, spreadRetryMs())
    const ofSessions = new Set([...this.#registry].map((session) => session.stream))
    for (const stream of [...runtime.streams]) {
      if (!ofSessions.has(stream)) stream.finish(partingFrame(reason, spreadRetryMs(), stream.goodbye), withinMs, 'closed', closeCodes.goingAway)
    }
    await this.#whenEmpty(withinMs)
    // What is left does not read, or runs on: its hooks still run, but nobody waits long for them.
    for (const session of [...this.#registry]) session.hurry()
    for (const stream of [...runtime.streams]) stream.destroy('closed')
    await this.#whenEmpty(defaults.fixed.shutdownMs / 4)
    for (const session of [...this.#registry]) session.abandon()
  }

  /** Waits until there is no session and no stream, or the time is up. */
  #whenEmpty (withinMs: number): Promise<void> {
    const runtime = this.#runtime
    const isEmpty = () => this.#registry.size === 0 && runtime.streams.size === 0
    if (isEmpty()) return Promise.resolve()
    return new Promise((resolve) => {
      const stop = () => {
        clearTimeout(timer)
        runtime.endings.off('end', look)
        resolve()
      }
      const look = () => { if (isEmpty()) stop() }
      const timer = setTimeout(stop, withinMs)
      runtime.endings.on('end', look)
    })
  }

  #stats (): TetherStats {
    const { totals, streams, budget, compression } = this.#runtime
    const registry = this.#registry
    const now = performance.now()
    let stalled = 0
    let stallMs = 0
    for (const session of registry) {
      const ofThis = session.stallMs(now)
      if (ofThis > 0) stalled++
      stallMs += ofThis
    }
    const protocols = protocolCounts()
    for (const stream of streams) protocols[stream.protocol]++
    return {
      ...snapshot(totals, stallMs),
      sessions: registry.size,
      stalled,
      detached: registry.detachedCount,
      pending: registry.pendingCount,
      streams: streams.size,
      protocols,
      refusals: { ...registry.refusals },
      bufferedBytes: budget.used,
      bufferedMemory: budget.weight,
      commandMemory: budget.commands,
      compression: { ...compression.stats }
    }
  }
}

function resolveCompression (given: boolean | CompressionOptions): ResolvedCompression | null {
  if (given === false) return null
  const { own, encodings } = given === true ? {} : given
  const fallback = defaults.compression
  return Object.freeze({ own: own ?? fallback.own, encodings: Object.freeze([...encodings ?? fallback.encodings]) })
}
