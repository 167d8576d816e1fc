import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { defaults } from '../../schemas/defaults.ts'
import { OptionError } from '../../schemas/errors.ts'
import type { Limits } from '../../schemas/limits.ts'
import type { BusListener, BusListenerOptions, Cluster } from '../cluster/api.ts'
import { ClusterNode } from '../cluster/cluster-node.ts'
import { systemClock } from '../cluster/hub/clock.ts'
import { CompiledContract } from '../contract/compiled-contract.ts'
import { EventTimes } from '../metrics/event-times.ts'
import { mountRoutes } from '../routes/mount.ts'
import { normalOrigin } from '../routes/origin.ts'
import type { AnyStatefulConfig } from '../routes/stateful-config.ts'
import { chooseTransports, createMaker } from '../routes/transport-choice.ts'
import { mountTuning } from '../routes/tuning-route.ts'
import type { Handler } from '../sessions/api.ts'
import { Directory } from '../ownership/directory.ts'
import { Ownership } from '../ownership/ownership.ts'
import type { SessionDirectory } from '../sessions/directory.ts'
import { Endpoint } from '../sessions/endpoint.ts'
import type { SessionKeeper } from '../sessions/keeper.ts'
import { SessionRegistry } from '../sessions/session-registry.ts'
import type { TetherSession } from '../sessions/session.ts'
import { createEventStreamUpgrade } from '../sse/sse-upgrade.ts'
import { createRuntime, type Runtime } from '../streams/runtime.ts'
import type { UpgradeOptions } from '../streams/transport.ts'
import { TopicNetwork } from '../topics/topic-network.ts'
import { Topics } from '../topics/topics.ts'
import { createWebSocketUpgrade, type WebSocketUpgradeOptions } from '../websocket/websocket-upgrade.ts'
import type { DrainOptions, Tether, TetherOptions, TuningOptions } from './api.ts'
import { MemoryRelief } from './memory-relief.ts'
import { noteObserved } from './observed.ts'
import { checkConfig, resolveDrainOptions, resolvePluginOptions, resolveSessionOptions, resolveUpgradeOptions, resolveWebSocketOptions, topicKinds } from './options.ts'
import { ProcessFigures } from './process-figures.ts'
import { Shutdown } from './shutdown.ts'
import { healthOf, statsOf } from './stats.ts'

/** One registered plugin. It makes what its sessions and streams share, and connects it to Fastify's instances. */
export class TetherCore {
  readonly #options: TetherOptions
  readonly #runtime: Runtime
  readonly #registry: SessionRegistry<TetherSession>
  readonly #shutdown: Shutdown
  readonly #cluster: ClusterNode | null
  readonly #endpoints: Endpoint[] = []
  readonly #ownership: Ownership | null
  readonly #network: TopicNetwork | null
  readonly #directory: Directory | null
  /** Exists only with the option `tuning`. */
  readonly #tuning: { readonly authorize: TuningOptions['authorize'], readonly events: EventTimes, readonly process: ProcessFigures } | null

  /**
   * @param fixed replaces the fixed limits in tests and benchmarks
   * @throws `FST_ERR_TETHER_OPTION` for an option that is not allowed.
   */
  constructor (options: TetherOptions, fixed: Limits = defaults.fixed) {
    this.#options = options
    const { limits, maxFrozen, maxBufferedBytes, maxCompressorBytes, cluster } = resolvePluginOptions(options)
    this.#tuning = options.tuning === undefined ? null : { authorize: options.tuning.authorize, events: new EventTimes(), process: new ProcessFigures() }
    const runtime = createRuntime(maxBufferedBytes, maxCompressorBytes, fixed)
    const registry = new SessionRegistry<TetherSession>(limits, fixed.tombstones, () => { runtime.endings.emit('end') }, runtime.time, evict)
    const relief = new MemoryRelief(runtime.budget, function * () {
      for (const { feed } of registry) yield feed
      yield * runtime.budget.others
    })
    runtime.budget.onExceeded = () => relief.run()
    this.#runtime = runtime
    this.#registry = registry
    this.#shutdown = new Shutdown(runtime, registry)
    this.#cluster = cluster === null ? null : new ClusterNode({ options: cluster, fixed, clock: systemClock, figures: () => ({ sessions: registry.size, draining: runtime.draining }), traceLink: () => runtime.watch.traceLink })
    this.#ownership = cluster === null ? null : new Ownership({ node: this.#cluster!, options: cluster, maxFrozen, fixed, clock: systemClock, log: () => this.#cluster!.log })
    this.#network = cluster === null ? null : new TopicNetwork({ node: this.#cluster!, leaseMs: cluster.leaseMs, fixed, clock: systemClock })
    this.#directory = cluster === null ? null : new Directory({ node: this.#cluster!, options: cluster, clock: systemClock, ownership: this.#ownership! })
  }

  /** Makes `app.tether` for one instance. Its routes go to that instance. */
  on (instance: FastifyInstance): Tether {
    const tether: Tether = Object.freeze({
      sse: Object.freeze({ upgrade: createMaker('sse', (options?: UpgradeOptions) => createEventStreamUpgrade(resolveUpgradeOptions(options), this.#runtime)) }),
      websocket: Object.freeze({ upgrade: createMaker('websocket', (options?: WebSocketUpgradeOptions) => createWebSocketUpgrade(resolveWebSocketOptions(options), this.#runtime)) }),
      stateful: ((url: string, config: AnyStatefulConfig) => this.#stateful(instance, url, config)) as Tether['stateful'],
      drain: async (options?: DrainOptions) => {
        const drained = this.#shutdown.close('draining', resolveDrainOptions(options))
        this.#cluster?.announce()
        await drained
        for (const { topics } of this.#endpoints) topics?.stop()
        this.#tuning?.process.close()
      },
      cluster: this.#cluster === null ? null : viewOf(this.#cluster),
      stats: () => statsOf(this.#runtime, this.#registry),
      health: () => healthOf(this.#runtime, this.#registry, this.#cluster)
    })
    noteObserved(tether, { runtime: this.#runtime, registry: this.#registry, endpoints: this.#endpoints, cluster: this.#cluster })
    return tether
  }

  /** Whether the node belongs to others, so that `start` and `leave` have work. */
  get isClustered (): boolean { return this.#cluster !== null }

  /** Joins the other nodes; for Fastify's `onReady`. Rejects if the engine cannot work at all. */
  async start (log: FastifyBaseLogger): Promise<void> {
    await this.#cluster?.start(log)
    this.#ownership?.start()
  }

  /** Leaves the other nodes; for Fastify's `onClose`. */
  async leave (): Promise<void> {
    const { shutdownMs } = this.#runtime.limits
    await Promise.all([this.#ownership?.leave(shutdownMs), this.#network?.leave(shutdownMs)])
    await this.#cluster?.stop()
  }

  /** Ends everything within a fixed time; for Fastify's `preClose`, which may run more than once. */
  async shutdown (): Promise<void> {
    const { shutdownMs } = this.#runtime.limits
    await this.#shutdown.close('shutdown', { ...defaults.drain, timeoutMs: shutdownMs })
    // Fastify waits for these answers. Their requests may run at other nodes.
    this.#runtime.closing = true
    for (const wait of [...this.#runtime.replyWaits]) wait.giveUp()
    for (const { topics } of this.#endpoints) topics?.stop()
    await this.#runtime.http2Connections.close(shutdownMs / 4)
  }

  /** Makes what moves the sessions of a configuration between nodes; undefined for sessions that stay. */
  #keeperFor (config: AnyStatefulConfig): ((endpoint: Endpoint) => SessionKeeper) | undefined {
    const ownership = this.#ownership
    return ownership === null || config.persist === 'never' ? undefined : (endpoint) => ownership.keeperFor(endpoint)
  }

  #directoryFor (): ((endpoint: Endpoint) => SessionDirectory) | undefined {
    const directory = this.#directory
    return directory === null ? undefined : (endpoint) => directory.directoryFor(endpoint)
  }

  #stateful (instance: FastifyInstance, url: string, config: AnyStatefulConfig): Handler {
    checkConfig(instance.prefix, url, config)
    const transports = chooseTransports(instance, config, { sse: resolveUpgradeOptions, websocket: resolveWebSocketOptions })
    const contract = CompiledContract.of(config.contract)
    const kinds = topicKinds(contract, config)
    if (this.#cluster !== null && config.persist === 'event') checkJournal(this.#cluster.engine)
    const endpoint = new Endpoint({
      contract,
      limits: resolveSessionOptions(config, contract.hasRequests),
      config,
      bind: config.bind ?? this.#options.bind,
      trustedOrigins: new Set((config.trustedOrigins ?? this.#options.trustedOrigins ?? []).map(normalOrigin)),
      runtime: this.#runtime,
      registry: this.#registry,
      cluster: this.#cluster,
      url: `${instance.prefix}${url}`,
      topics: kinds.size === 0 ? null : (self) => new Topics(self, kinds, this.#network),
      keeperFor: this.#keeperFor(config),
      directoryFor: this.#directoryFor(),
      log: instance.log,
      eventTimes: this.#tuning?.events ?? null
    })
    this.#endpoints.push(endpoint)
    mountRoutes(instance, url, endpoint, transports, config.route)
    this.#mountTuning(instance, url, config)
    return endpoint.context.live as Handler
  }

  /** Mounts the route of the figures, with the option `tuning`. */
  #mountTuning (instance: FastifyInstance, url: string, config: AnyStatefulConfig): void {
    const tuning = this.#tuning
    if (tuning === null) return
    const { limits: { maxSessions }, maxBufferedBytes } = resolvePluginOptions(this.#options)
    const { commandBuffer, queueFrames, queueBytes, replayFrames, replayBytes } = resolveSessionOptions(config)
    const options = { maxSessions, maxBufferedBytes, commandBuffer, queueFrames, queueBytes, replayFrames, replayBytes }
    mountTuning(instance, url, tuning.authorize, (collect) => {
      const streams = [...this.#runtime.streams]
      const now = this.#runtime.time.now()
      let heldMs = 0
      for (const session of this.#registry) heldMs += session.stallMs(now) * session.inbox.present
      return {
        version: 1,
        stats: statsOf(this.#runtime, this.#registry),
        events: tuning.events.read(heldMs),
        // Each stream has its own; before the first one it is not known.
        options: { ...options, writeBuffer: streams[0]?.writeBuffer ?? defaults.upgrade.writeBuffer },
        socketBytes: streams.reduce((sum, { queuedBytes }) => sum + queuedBytes, 0),
        cluster: this.#cluster === null ? null : { nodes: this.#cluster.nodes().length },
        ...tuning.process.read(collect)
      }
    })
  }
}

/** Throws for an engine that cannot keep events. */
function checkJournal ({ can, name }: ClusterNode['engine']): void {
  if (!can.journal) throw new OptionError(`option "persist" of app.tether.stateful() must not be "event" with this engine (${name}), which keeps no journal: its can.journal is false. "command" needs none`)
}

/** Ends a session that has waited for its client for longest: in a cluster the engine can keep it. */
function evict (session: TetherSession): void {
  const close = () => { session.close('evicted', { reconnect: true }) }
  const { keeper = null } = session.scope
  if (!session.proven || keeper?.canFreeze(session) !== true) return close()
  keeper.freeze(session, session.scope.limits.handlerTimeoutMs).then((isFrozen) => { if (!isFrozen && !session.connected) close() })
}

/** What the application sees of a node. */
function viewOf (node: ClusterNode): Cluster {
  return Object.freeze({
    node: node.node,
    get status () { return node.status },
    nodes: () => node.nodes(),
    stats: () => node.stats(),
    emit: (name: string, data?: unknown) => { node.emit(name, data) },
    on: (name: string, listener: BusListener, options?: BusListenerOptions) => node.on(name, listener, options),
    value: <Value>(name: string, initial: Value) => node.value(name, initial)
  })
}
