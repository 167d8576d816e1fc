import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { Limits } from '../../schemas/limits.ts'
import { EngineError, OptionError } from '../../schemas/errors.ts'
import { logThrown } from '../../schemas/thrown.ts'
import type { BusListener, BusListenerOptions, Cluster, ClusterMember, ClusterOptions, ClusterStats, ClusterStatus, ClusterValue } from './api.ts'
import { Bus } from './bus.ts'
import { channels, endpointOf, isInternal } from './channels.ts'
import type { Engine, EngineAbilities, Offset } from './engine.ts'
import type { Clock } from './hub/clock.ts'
import { LeaseGate } from './lease-gate.ts'
import { LogHistory } from './log-history.ts'
import { LogReader, type LogSubscriber } from './log-reader.ts'
import type { Broadcast } from './log-entry.ts'
import type { BroadcastPlace, LogPosition } from './log-position.ts'
import type { MissedBroadcasts } from './log-tail.ts'
import { Membership } from './membership.ts'
import { NodeCalls } from './node-calls.ts'
import { Publisher } from './publisher.ts'
import { RecordStore } from './record-store.ts'
import { SharedValues } from './shared-values.ts'
import type { TraceLink } from '../metrics/watch.ts'
import type { Frame } from '../protocol/frame.ts'

/** How many times a node renews its lease within it. */
const renewals = 3
/** How many times within a lease a node looks at the others' leases while a request to one of them waits. */
const looks = 20

/** Messages of the log. A subset of pino's logger. */
export interface ClusterLogger {
  info: (data: object, message: string) => void
  warn: (data: object, message: string) => void
  error: (data: object, message: string) => void
}

const silent: ClusterLogger = { info () {}, warn () {}, error () {} }

export interface ClusterNodeParts {
  readonly options: Required<ClusterOptions>
  readonly fixed: Pick<Limits, 'clusterStartMs' | 'shutdownMs' | 'logEntryFrames' | 'logEntryBytes' | 'logUnreadEntries' | 'logRetryMs' | 'logMaxRetryMs' | 'logLargeAttempts' | 'nodeCalls' | 'nodeCallBytes' | 'recordRetryMs' | 'logTailEntries' | 'logTailBytes' | 'busErrors' | 'busErrorsMs' | 'clusterNameLength' | 'valueStartMs'>
  readonly clock: Clock
  /** What the other nodes see of this one, at any time. */
  readonly figures: () => { readonly sessions: number, readonly draining: boolean }
  /** Takes traces to other nodes, while somebody traces. */
  readonly traceLink?: () => TraceLink | null
}

/**
 * One node of an application: it opens its engine, keeps the lease, brings broadcasts into the log and out of it, and
 * exchanges messages with the other nodes. It is the only listener of the engine.
 */
export class ClusterNode implements Cluster {
  readonly node = createNodeName()
  readonly records: RecordStore
  readonly calls: NodeCalls
  readonly gate: LeaseGate
  readonly #parts: ClusterNodeParts
  readonly #engine: Engine
  readonly #publisher: Publisher
  readonly #reader: LogReader
  readonly #history: LogHistory
  readonly #membership: Membership
  readonly #bus: Bus
  readonly #values: SharedValues
  readonly #startedAt = Date.now()
  log: ClusterLogger = silent
  #phase: 'new' | 'open' | 'closed' = 'new'
  #isUp = false
  #openedAt = 0
  /** When the engine began to answer, when it did so again, and when it last lost its memory. */
  #upAt = 0
  #backAt = -Infinity
  #forgotAt = -Infinity
  #timer: unknown
  #onFirstUp: (() => void) | null = null
  #isReadingNodes = false
  #callWatch: unknown
  /** Broadcasts that the application has not called. */
  #internal = 0

  /** Throws what the engine's `engineFor` throws, and `FST_ERR_TETHER_OPTION` if it gives no engine. */
  constructor (parts: ClusterNodeParts) {
    const { options: { engine, name, leaseMs, logMs, queueFrames, queueBytes, maxValues, maxValueBytes }, fixed, clock } = parts
    this.#parts = parts
    this.#engine = checked(engine.engineFor({ name, logMs }))
    this.#publisher = new Publisher({
      node: this.node,
      limits: {
        queueFrames,
        queueBytes,
        entryFrames: fixed.logEntryFrames,
        entryBytes: fixed.logEntryBytes,
        unreadEntries: fixed.logUnreadEntries,
        retryMs: fixed.logRetryMs,
        maxRetryMs: fixed.logMaxRetryMs,
        largeAttempts: fixed.logLargeAttempts,
        missingMs: leaseMs
      },
      clock,
      append: async (entry) => { await this.#engine.append(entry) },
      onTooLarge: ({ url, frame }, error) => { logThrown(this.log, 'error', error, 'the cluster\'s engine cannot take a broadcast, which is lost', { url, bytes: frame.bytes }) }
    })
    this.#reader = new LogReader({
      node: this.node,
      clock,
      limits: fixed,
      forgetMs: logMs + leaseMs,
      awayMs: Math.max(logMs, leaseMs),
      joiningMs: leaseMs,
      readBack: (counter) => this.#publisher.readBack(counter),
      onComing: (node, isNew) => {
        // The newcomer must know this node's number to notice a missing one.
        if (isNew) this.#publisher.beat(true)
        if (!this.#membership.has(node)) this.#readNodes()
      },
      onLeaving: (node) => { this.#membership.left(node) },
      onLoss: (reason, node) => { this.log.warn({ reason, node }, 'broadcasts of the cluster are lost, and the sessions get a gap') },
      traced: (broadcast, from, deliver) => { this.#deliverTraced(broadcast, from, deliver) }
    })
    this.#history = new LogHistory({ reader: this.#reader, clock, limits: fixed, range: async (after, limit) => await this.#engine.range(after, limit) })
    this.#membership = new Membership({ node: this.node, engine: this.#engine, leaseMs, clock, card: () => ({ ...parts.figures(), startedAt: this.#startedAt }), recoveringMs: () => Math.max(0, Math.ceil(this.#forgotAt + leaseMs - clock.now())), onNewLease: () => { this.gate.began() } })
    this.records = new RecordStore({ engine: this.#engine, clock, retryMs: fixed.recordRetryMs })
    this.calls = new NodeCalls({ limits: { calls: fixed.nodeCalls, bytes: fixed.nodeCallBytes }, clock, send: (to, message) => this.#engine.send(to, message), traceLink: parts.traceLink, onWaiting: () => { this.#watchCalls() } })
    this.gate = new LeaseGate({ clock, isolatedMs: parts.options.isolatedMs, leaseUntil: () => this.#membership.leaseUntil })
    const publish = (broadcast: Broadcast) => { this.publish(broadcast) }
    this.#bus = new Bus({ node: this.node, clock, limits: fixed, publish, log: () => this.log })
    this.#values = new SharedValues({
      node: this.node,
      clock,
      limits: { maxValues, maxValueBytes, queueFrames, queueBytes, clusterNameLength: fixed.clusterNameLength, retryMs: fixed.recordRetryMs, leaseMs },
      calls: this.calls,
      publish,
      synced: () => this.synced(),
      readNodes: () => this.#readAll(),
      position: () => this.position(),
      reach: (position, from, deadlineMs) => this.reach(position, from, deadlineMs),
      replay: (position, missed) => { this.replay(position, missed) }
    })
    this.subscribe(channels.bus, this.#bus)
    this.subscribe(channels.values, this.#values)
  }

  // For the application

  get status (): ClusterStatus {
    if (this.#phase === 'closed') return 'isolated'
    const { leaseMs } = this.#parts.options
    const now = this.#parts.clock.now()
    // A node that has just started is not taken for dead: nobody knows it.
    const until = this.#phase === 'new' ? Infinity : Math.max(this.#membership.leaseUntil, this.#openedAt + leaseMs)
    if (now >= until) return 'isolated'
    return this.#isUp && this.#membership.leaseUntil > 0 && this.#publisher.waitedMs < leaseMs / renewals ? 'ready' : 'degraded'
  }

  nodes (): ClusterMember[] {
    return this.#membership.nodes
  }

  stats (): ClusterStats {
    const { lagMs, frames, bytes, called, dropped } = this.#publisher
    const { frames: delivered, duplicates, rejected, losses } = this.#reader
    return { lagMs, queuedFrames: frames, queuedBytes: bytes, published: called - this.#internal, delivered, dropped, duplicates, rejected, losses }
  }

  emit (name: string, data?: unknown): void {
    this.#bus.emit(name, data)
  }

  on (name: string, listener: BusListener, options?: BusListenerOptions): () => void {
    return this.#bus.on(name, listener, options)
  }

  value<Value> (name: string, initial: Value): ClusterValue<Value> {
    return this.#values.value(name, initial)
  }

  // For other parts of the plugin

  /** What its engine can do, and the engine's name for messages. */
  get engine (): { readonly can: EngineAbilities, readonly name: string } {
    const { can, constructor: { name } } = this.#engine
    return { can, name: name === 'Object' ? 'that of the option "cluster"' : name }
  }

  /** Adds the receivers of what goes to a URL, or to a channel. */
  subscribe (url: string, subscriber: LogSubscriber): void {
    this.#reader.subscribe(url, subscriber)
  }

  /** Brings a broadcast to all nodes, this one too: it is delivered when it is back from the log. Never throws; drops beyond a limit. */
  publish (broadcast: Broadcast): void {
    if (isInternal(broadcast.url)) this.#internal++
    const trace = this.#parts.traceLink?.()?.carry()
    this.#publisher.publish(trace === undefined ? broadcast : { ...broadcast, trace })
  }

  #deliverTraced ({ url, group, trace }: Broadcast, from: string, deliver: () => void): void {
    const link = this.#parts.traceLink?.()
    if (link === undefined || link === null) return deliver()
    link.deliver(trace!, { url: endpointOf(url), event: url === channels.bus ? group : null, node: from }, deliver)
  }

  /** Resolves when this node's broadcasts so far were delivered here, or are lost. Rejects if the node leaves before. */
  synced (): Promise<void> {
    return this.#publisher.synced()
  }

  /** How far this node has read the log, after it has told all losses; null before the first entry. */
  position (): LogPosition | null {
    return this.#reader.position()
  }

  /** Where the log has a frame that was delivered here, and the entry before; null for other frames, and for old ones. */
  placeOf (frame: Frame): { readonly place: BroadcastPlace, readonly after: Offset } | null {
    const { tail } = this.#reader
    const place = tail.placeOf(frame)
    const after = place === null ? null : tail.before(place)
    return place === null || after === null ? null : { place, after }
  }

  /** The frame at a place in the log; null if it is not here. Call {@link reach} before. */
  frameAt (place: BroadcastPlace): Frame | null {
    return this.#reader.tail.frameAt(place)
  }

  /**
   * Waits until this node has read past a position, and has what came since. That stays for the present turn of the event loop.
   *
   * @param from an older entry, from which on frames are needed; null for none
   * @returns false if something that came since is lost, or the time is over
   */
  reach (position: LogPosition, from: Offset | null, deadlineMs: number): Promise<boolean> {
    return this.#history.reach(position, from, deadlineMs)
  }

  /** Waits until this node has read past a position, at most for a time; see {@link LogHistory.arrive}. */
  arrive (position: LogPosition, withinMs: number): Promise<'passed' | 'late' | 'gone'> {
    return this.#history.arrive(position, withinMs)
  }

  /** Waits until this node has read all that is in the log now, at most for a time. Returns whether it has. It writes an entry for that. */
  async caughtUp (withinMs: number): Promise<boolean> {
    const { clock } = this.#parts
    let timer: unknown
    const late = new Promise<false>((resolve) => { timer = clock.setTimeout(() => { resolve(false) }, withinMs) })
    try {
      return await Promise.race([this.#publisher.lap().then(() => true), late])
    } finally {
      clock.clearTimeout(timer)
    }
  }

  /** Waits until this node has read past a place in the log, at most for a time. Returns whether it has. */
  passes (at: Offset, withinMs: number): Promise<boolean> {
    return this.#history.passes(at, withinMs)
  }

  /** Goes through what a node at `position` had not read. Call {@link reach} before. */
  replay (position: LogPosition, missed: MissedBroadcasts): void {
    this.#reader.replay(position, missed)
  }

  /** The time by the wall clocks of all nodes, as last told: the earliest and the latest. */
  get wallTime (): { readonly earliest: number, readonly latest: number } {
    return this.#membership.wallTime
  }

  /** Whether a node lives, as last told. */
  hasNode (name: string): boolean {
    return this.#membership.has(name)
  }

  /** Tells the others a change of its figures at once. */
  announce (): void {
    if (this.#isUp) this.#renew()
  }

  /**
   * How another node stands. Nobody is dead before the engine was there for a lease, since nodes that could not renew it
   * need that time. Rejects if the engine does not answer.
   *
   * @param isFresh whether to ask the engine also for a node that was there when it last told
   */
  async stateOf (node: string, isFresh = false): Promise<'alive' | 'dead' | 'unknown'> {
    if (!isFresh && this.#membership.has(node)) return 'alive'
    await this.#membership.read()
    if (this.#membership.has(node)) return 'alive'
    return this.#knowsTheDead ? 'dead' : 'unknown'
  }

  /** Whether the engine was there for long enough that each living node could renew its lease. */
  get #knowsTheDead (): boolean {
    return this.#isUp && this.#parts.clock.now() >= this.#upAt + this.#parts.options.leaseMs
  }

  /** Nobody waits for the reply of a node that is dead, or that dies meanwhile. */
  #watchCalls (): void {
    if (this.#callWatch !== undefined || this.#phase !== 'open') return
    const { clock, options: { leaseMs } } = this.#parts
    const everyMs = leaseMs / looks
    this.#callWatch = clock.setTimeout(() => {
      this.#callWatch = undefined
      if (this.calls.waiting === 0) return
      if (this.calls.waitedMs < everyMs || !this.#knowsTheDead) return this.#watchCalls()
      this.#membership.read().then(() => {
        if (this.#knowsTheDead) this.calls.abandon((node) => !this.#membership.has(node))
      }, () => {}).then(() => {
        if (this.calls.waiting > 0) this.#watchCalls()
      })
    }, everyMs)
  }

  /** Whether other nodes may still have to write records: the engine has lost its memory, or is or was away and may have lost its last writes. */
  get isRecovering (): boolean {
    const { clock, options: { leaseMs } } = this.#parts
    // What it lost may show in an answer before it is told.
    if (this.#upAt > 0 && !this.#isUp) return true
    // A newcomer has it from others.
    const forgottenUntil = this.#forgotAt === -Infinity ? this.#membership.recoveringUntil : this.#forgotAt + leaseMs
    return clock.now() < Math.max(forgottenUntil, this.#backAt + leaseMs / renewals)
  }

  /**
   * Opens the engine, and waits a limited time until it answers.
   *
   * @throws what the engine's `open` throws
   */
  async start (log: ClusterLogger): Promise<void> {
    if (this.#phase !== 'new') return
    const { clock, fixed } = this.#parts
    this.log = log
    this.#phase = 'open'
    this.#openedAt = clock.now()
    let timer: unknown
    const up = new Promise<void>((resolve) => {
      this.#onFirstUp = resolve
      timer = clock.setTimeout(() => {
        log.warn({ node: this.node }, 'the cluster\'s engine does not answer; broadcasts wait until it does')
        resolve()
      }, fixed.clusterStartMs)
    })
    this.#tick()
    try {
      await this.#engine.open(this.node, {
        entry: (at, bytes) => {
          if (this.#phase !== 'open') return
          this.#reader.entry(at, bytes)
          this.#history.advance(at)
        },
        message: (from, bytes) => { this.calls.receive(from, bytes) },
        up: () => { this.#up() },
        down: () => { this.#down() },
        // What it lost shows in the numbers of the entries.
        forgot: () => {
          this.log.warn({ node: this.node }, 'the cluster\'s engine has lost its memory')
          this.#forgotAt = clock.now()
          this.#reader.forgot()
        },
        warn: (message) => { this.log.warn({ node: this.node }, message) }
      })
      await up
    } finally {
      clock.clearTimeout(timer)
    }
    if (this.#isUp) await this.#knowValues(fixed.valueStartMs)
  }

  /** Waits until this node knows the values that others share, so that the application can read them from its start on. */
  async #knowValues (withinMs: number): Promise<void> {
    const { clock } = this.#parts
    await new Promise<void>((resolve) => {
      const timer = clock.setTimeout(resolve, withinMs)
      this.#values.whenCertain().then(() => {
        clock.clearTimeout(timer)
        resolve()
      })
    })
  }

  async #readAll (): Promise<ClusterMember[]> {
    if (!this.#isUp || this.#membership.leaseUntil <= this.#parts.clock.now()) throw new EngineError('has given no lease')
    await this.#membership.read()
    return this.#membership.nodes
  }

  /** Writes what waits, within a fixed time, and leaves. Never rejects. */
  async stop (): Promise<void> {
    if (this.#phase === 'closed') return
    const wasOpen = this.#phase === 'open'
    if (wasOpen) await this.#publisher.leave(this.#parts.fixed.shutdownMs)
    this.#phase = 'closed'
    this.#isUp = false
    this.gate.close()
    this.#values.close()
    this.calls.close()
    this.records.close()
    this.#parts.clock.clearTimeout(this.#timer)
    this.#parts.clock.clearTimeout(this.#callWatch)
    if (!wasOpen) return
    try {
      await this.#engine.close()
    } catch (error) {
      this.log.warn({ err: error }, 'the cluster\'s engine did not close')
    }
  }

  #up (): void {
    if (this.#phase !== 'open') return
    this.#isUp = true
    const isFirst = this.#upAt === 0
    if (!isFirst) this.#backAt = this.#parts.clock.now()
    this.#upAt = this.#parts.clock.now()
    this.log.info({ node: this.node }, 'the cluster\'s engine answers')
    this.#reader.up(this.#parts.options.logMs)
    this.#publisher.up()
    // Tells the others that this node is there, and whether they miss an entry of it.
    this.#publisher.beat(true)
    this.#renew()
    // It may have lost its memory, or in a failover its last writes. A new lease reads all records anyway.
    if (!isFirst && this.#membership.leaseUntil > this.#upAt) this.gate.recheck()
  }

  #down (): void {
    if (this.#phase !== 'open' || !this.#isUp) return
    this.#isUp = false
    this.log.warn({ node: this.node }, 'the cluster\'s engine does not answer; broadcasts wait until it does')
    this.#publisher.down()
  }

  readonly #tick = (): void => {
    const { clock, options: { leaseMs } } = this.#parts
    this.#timer = clock.setTimeout(this.#tick, leaseMs / renewals)
    if (!this.#isUp) return
    this.#publisher.beat()
    this.#renew()
  }

  #renew (): void {
    this.#membership.renew().then(() => {
      this.gate.renewed()
      this.#values.renewed(this.#membership.nodes)
      this.#onFirstUp?.()
      this.#onFirstUp = null
    }, (error: unknown) => { this.#refused(error) })
  }

  /** Reads the list of nodes once for all newcomers of a turn. */
  #readNodes (): void {
    if (this.#isReadingNodes) return
    this.#isReadingNodes = true
    this.#parts.clock.defer(() => {
      this.#isReadingNodes = false
      if (this.#isUp) this.#membership.read().catch((error: unknown) => { this.#refused(error) })
    })
  }

  #refused (error: unknown): void {
    if (this.#phase === 'open' && this.#isUp) this.log.warn({ err: error, node: this.node }, 'the cluster\'s engine did not renew the lease')
  }
}

const engineMethods = ['open', 'append', 'range', 'send', 'get', 'put', 'renew', 'nodes', 'close'] as const

/** What an engine of the application's own lacks shows at registration, not at its first call. */
function checked (made: Engine): Engine {
  const given: Partial<Engine> = made ?? {}
  const lacking = [...engineMethods.filter((name) => typeof given[name] !== 'function'), ...typeof given.can === 'object' ? [] : ['can']]
  if (lacking.length > 0) throw new OptionError(`option "engine" of "cluster" of app.register(tether): what its engineFor gives lacks ${lacking.join(', ')}`)
  return made
}

/** A name that no other process ever has, and that a reader of logs can place. */
function createNodeName (): string {
  const host = hostname().replace(/[^A-Za-z0-9-]/g, '-').slice(0, 24)
  return `${host}-${process.pid}-${randomBytes(9).toString('base64url')}`
}
