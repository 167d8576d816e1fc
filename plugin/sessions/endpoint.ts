import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { UpdateDefinitions } from '../../schemas/contract.ts'
import { ArgumentError, DrainingError, UnavailableError } from '../../schemas/errors.ts'
import { logThrown, presentable } from '../../schemas/thrown.ts'
import { isSyncCallback } from '../commands/sync-callback.ts'
import type { CompiledContract } from '../contract/compiled-contract.ts'
import { Audience } from '../delivery/audience.ts'
import { Counters } from '../metrics/counters.ts'
import type { EventTimes } from '../metrics/event-times.ts'
import { UpdateTally } from '../metrics/update-tally.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { Applicant } from './applicant.ts'
import type { BroadcastLog } from './broadcast-log.ts'
import { Cohorts } from './cohorts.ts'
import { CommandWatch } from './command-watch.ts'
import type { AccessOptions, AnySessionConfig, HandlerContext, SessionOptions } from './config.ts'
import type { SessionDirectory } from './directory.ts'
import { Finder } from './finder.ts'
import { GroupSizes } from './group-sizes.ts'
import { Groups } from './groups.ts'
import type { SessionKeeper } from './keeper.ts'
import { keepState, reviveState } from './kept-state.ts'
import { LiveHandler } from './live-handler.ts'
import { Relay } from './relay.ts'
import { createSessionId, shortSessionId } from './session-id.ts'
import { SessionIndex } from './session-index.ts'
import type { EventHandler } from './session-inbox.ts'
import { ownerOf, type ConnectionUse, type SessionRegistry } from './session-registry.ts'
import type { SessionScope } from './session-scope.ts'
import type { RestoreOptions, SessionSnapshot } from './snapshot.ts'
import { TetherSession } from './session.ts'
import type { TopicsPart } from './topics-part.ts'

type Bind = NonNullable<AccessOptions['bind']>

export interface EndpointParts {
  readonly contract: CompiledContract
  readonly limits: Readonly<Required<SessionOptions>>
  readonly config: AnySessionConfig
  readonly bind: Bind | undefined
  readonly trustedOrigins: ReadonlySet<string>
  readonly runtime: Runtime
  readonly registry: SessionRegistry<TetherSession>
  readonly log: FastifyBaseLogger
  /** The log that joins it to other nodes; null for none. */
  readonly cluster?: BroadcastLog | null
  /** Its full URL pattern, by which other nodes know it. */
  readonly url?: string
  /** Makes what keeps its sessions in the cluster; absent where they stay on this node. */
  readonly keeperFor?: ((endpoint: Endpoint) => SessionKeeper) | undefined
  /** Makes what finds its sessions on other nodes; absent without a cluster. */
  readonly directoryFor?: ((endpoint: Endpoint) => SessionDirectory) | undefined
  /** Makes its topics; null for a contract without topics. */
  readonly topics?: ((endpoint: Endpoint) => TopicsPart<TetherSession>) | null
  /** Measures the events; null for none. */
  readonly eventTimes?: EventTimes | null
}

/** One `stateful` URL: its sessions, its groups, its topics and its configuration. */
export class Endpoint implements SessionScope<TetherSession> {
  readonly contract: CompiledContract
  readonly limits: Readonly<Required<SessionOptions>>
  readonly hooks: AnySessionConfig
  readonly handlers: ReadonlyMap<string, EventHandler>
  readonly trustedOrigins: ReadonlySet<string>
  readonly runtime: Runtime
  readonly registry: SessionRegistry<TetherSession>
  readonly groups: Groups
  readonly context: HandlerContext<unknown, UpdateDefinitions>
  readonly redelivered: HandlerContext<unknown, UpdateDefinitions>
  readonly eventTimes: EventTimes | null
  /** Sessions by id, including those that are closing. */
  readonly sessions = new Map<string, TetherSession>()
  readonly index = new SessionIndex(this.sessions)
  /** Prepared sessions by their unused claims. */
  readonly claims = new Map<string, TetherSession>()
  /** Sessions that are not closing; they receive the broadcasts to all. */
  readonly everyone = new Audience<TetherSession>()
  readonly cohorts: Cohorts
  /** Its full URL pattern. */
  readonly url: string
  readonly log: FastifyBaseLogger
  /** Counts the updates by name, while somebody wants to know. */
  readonly tally: UpdateTally
  readonly counters: Counters
  readonly commandWatch: CommandWatch
  /** Keeps its sessions in the cluster; null where they stay on this node. */
  readonly keeper: SessionKeeper | null
  readonly broadcastLog: BroadcastLog | null
  readonly topics: TopicsPart<TetherSession> | null
  readonly groupSizes: GroupSizes | null
  readonly finders: { readonly local: Finder, readonly all: Finder }
  readonly #relay: Relay | null
  readonly #bind: Bind | undefined
  /** Whether a state was seen that can move to another node, or none ever has to. */
  #isStateKept: boolean
  /** The restores that are not done, by session id. */
  readonly #restoring = new Map<string, Promise<TetherSession>>()

  constructor (parts: EndpointParts) {
    this.contract = parts.contract
    this.limits = parts.limits
    this.hooks = parts.config
    this.#bind = parts.bind
    this.trustedOrigins = parts.trustedOrigins
    this.runtime = parts.runtime
    this.registry = parts.registry
    this.log = parts.log
    this.eventTimes = parts.eventTimes ?? null
    const { cluster = null, url = '' } = parts
    this.url = url
    this.tally = new UpdateTally(Object.keys(parts.contract.contract.updates))
    if (parts.runtime.watch.maxNames > 0) this.tally.start(parts.runtime.watch.maxNames)
    this.counters = new Counters(parts.runtime.totals, this.tally)
    this.commandWatch = new CommandWatch(url, parts.runtime.watch)
    this.topics = parts.topics?.(this) ?? null
    this.handlers = new Map([
      ...Object.entries(parts.config.on ?? {}).map(([name, handle]): [string, EventHandler] => [name, { handle: handle as EventHandler['handle'], isSync: isSyncCallback(handle) }]),
      ...this.topics?.handlers ?? []
    ])
    this.groups = new Groups(this)
    this.cohorts = new Cohorts({ ...parts.runtime, totals: this.counters, limits: parts.limits, writeBytes: parts.runtime.limits.writeBytes })
    this.keeper = parts.keeperFor?.(this) ?? null
    this.broadcastLog = cluster
    this.#relay = cluster === null ? null : new Relay(url, cluster, this)
    this.groupSizes = cluster === null ? null : new GroupSizes({ url, log: cluster, groups: this.groups, deadlines: parts.runtime.deadlines, time: parts.runtime.time, limits: parts.runtime.limits })
    const local = new Finder(this, null, null)
    const directory = parts.directoryFor?.(this) ?? null
    this.finders = { local, all: this.#relay === null ? local : new Finder(this, this.#relay, directory) }
    this.#isStateKept = cluster === null || parts.limits.persist === 'never'
    const live = new LiveHandler(this, this.#relay)
    this.context = Object.freeze({ live })
    this.redelivered = Object.freeze({ live, redelivered: true } as const)
  }

  /**
   * The owner of a request, by `bind`; null for nobody in particular. Throws what the application's `bind` throws.
   *
   * @throws `FST_ERR_TETHER_ARGUMENT` if `bind` returned another type. As text, a promise or an object would be the same for everybody.
   */
  boundTo (request: FastifyRequest): string | null {
    const owner = this.#ownerOf(request)
    if (owner === undefined || owner === null) return null
    if (typeof owner === 'string' || Number.isFinite(owner)) return String(owner)
    // Nothing else handles its rejection.
    if (owner instanceof Promise) owner.catch(() => {})
    const got = owner instanceof Promise ? 'a promise' : typeof owner === 'number' ? String(owner) : typeof owner
    throw new ArgumentError(`bind must return a string, a finite number, null or undefined; got ${got}`)
  }

  #ownerOf (request: FastifyRequest): unknown {
    try {
      return this.#bind?.(request)
    } catch (error) {
      throw presentable(error)
    }
  }

  async #stateFor (request: FastifyRequest): Promise<unknown> {
    try {
      return await this.hooks.initialState?.(request)
    } catch (error) {
      throw presentable(error)
    }
  }

  /** The client that asks for a session by a request. Throws the errors of `boundTo`. */
  applicant (request: FastifyRequest, connection: ConnectionUse | null): Applicant {
    const boundTo = this.boundTo(request)
    return { boundTo, owner: ownerOf(boundTo, request.ip), connection }
  }

  /** Makes a session in the slot that the caller reserved. Rejects with an error of `initialState`, and with `FST_ERR_TETHER_STATE`. */
  async create (request: FastifyRequest, applicant: Applicant, isPrepared: boolean): Promise<TetherSession> {
    const state = await this.#stateFor(request)
    if (!this.#isStateKept) {
      // A state that cannot move shows now, not at the first deploy.
      keepState(state, this.hooks)
      this.#isStateKept = true
    }
    return this.admit(state, applicant, isPrepared)
  }

  /** Makes a session with this state in the slot that the caller reserved. */
  admit (state: unknown, applicant: Applicant, isPrepared: boolean): TetherSession {
    const session = new TetherSession(this, state, applicant, isPrepared ? createSessionId() : null)
    if (session.claimCode !== null) this.claims.set(session.claimCode, session)
    this.registry.add(session)
    this.sessions.set(session.id, session)
    this.index.add(session)
    this.everyone.add(session)
    const { watch } = this.runtime
    if (watch.seesSessionOpen) watch.sessionOpened({ session: session.shortId, url: this.url, prepared: isPrepared })
    return session
  }

  async prepare (request: FastifyRequest): Promise<string | null> {
    const { registry } = this
    if (this.runtime.draining) return null
    // The limit is about the stream's connection, which is not known yet.
    const applicant = this.applicant(request, null)
    if (!registry.reserveUnclaimed()) return null
    if (!registry.reserve(applicant.owner, null)) {
      registry.releaseUnclaimed()
      return null
    }
    let session: TetherSession
    try {
      session = await this.create(request, applicant, true)
    } catch (error) {
      registry.release(applicant.owner, null)
      registry.releaseUnclaimed()
      throw error
    }
    const { keeper } = this
    const isKnown = keeper === null || (await Promise.all([keeper.announce(session), keeper.announceClaim(session)])).every(Boolean)
    // A drain may have begun meanwhile. It would wait for a page that cannot connect any more.
    if (isKnown && !this.runtime.draining) return session.claimCode
    session.destroy()
    return null
  }

  /**
   * Makes a session from a snapshot, in the slot that the caller reserved for the snapshot's owner; the caller gives
   * the slot back if this rejects. Waits until this node has read the log up to the snapshot's position ({@link awaitLog}); then, in one
   * synchronous step, the session gets what the log brought since, and joins its groups and topics. `onRestore` is queued. Until then the
   * endpoint does not know the session.
   *
   * Rejects with `FST_ERR_TETHER_SNAPSHOT` for a state that is not for this node, with `FST_ERR_TETHER_DRAINING`, with
   * `FST_ERR_TETHER_UNAVAILABLE` if this node reads the log too late, and with an error of `deserialize`. Who calls it logs that.
   *
   * @param onRestored is called in the step that makes the session, behind `onRestore`
   */
  async restore (id: string, snapshot: SessionSnapshot, options: RestoreOptions, onRestored: (session: TetherSession) => void = () => {}): Promise<TetherSession> {
    if (this.sessions.has(id) || this.#restoring.has(id)) throw new ArgumentError(`the session ${shortSessionId(id)} is at this node already`)
    const restored = this.#restore(id, snapshot, options, onRestored)
    this.#restoring.set(id, restored)
    try {
      return await restored
    } finally {
      this.#restoring.delete(id)
    }
  }

  async #restore (id: string, snapshot: SessionSnapshot, { from, deadlineMs, awaitsStream = false, ref, isOver = false, mayDrain = false }: RestoreOptions, onRestored: (session: TetherSession) => void): Promise<TetherSession> {
    const state = await this.#revive(snapshot)
    const { broadcastLog: log } = this
    const arrival = isOver ? 'passed' : await this.awaitLog(snapshot, false, deadlineMs)
    if (arrival === 'late') throw new UnavailableError()
    const isComplete = isOver || log === null || (snapshot.log !== null && arrival === 'passed' && await log.reach(snapshot.log, snapshot.framesAfter, deadlineMs))
    // A drain that began meanwhile knows only the sessions of that moment.
    if (this.runtime.draining && !mayDrain) throw new DrainingError()
    const session = new TetherSession(this, state, { boundTo: snapshot.boundTo, owner: snapshot.owner, connection: null }, null, { id, ref, snapshot, from })
    this.registry.add(session)
    this.sessions.set(id, session)
    for (const name of snapshot.groups) this.groups.readd(name, session)
    if (isOver) {
      this.everyone.add(session)
      this.index.add(session)
      onRestored(session)
      return session
    }
    this.topics?.restore(session, snapshot.subscriptions)
    const replayed = this.#relay === null ? new Map<string, string>() : this.#relay.replay(session, snapshot.log, isComplete, this.topics?.epochsFor(snapshot.subscriptions))
    if (from === 'crashed') session.onReplayed()
    this.everyone.add(session)
    this.index.add(session)
    this.topics?.resume(session, snapshot.subscriptions, replayed, snapshot.takenAt)
    session.queueHook('onRestore', { ...this.context, from })
    onRestored(session)
    if (!awaitsStream) this.awaitStream(session)
    return session
  }

  /**
   * Waits until this node has read the log up to a snapshot's position. A session that came before would get again what it has.
   *
   * @param isLossy whether its client may have got more of the log since; then this node reads all that is there now
   * @returns `late` if it has not in time; `gone` if it perhaps never will, since the log has lost that
   */
  async awaitLog ({ log: position }: SessionSnapshot, isLossy: boolean, withinMs: number): Promise<'passed' | 'late' | 'gone'> {
    const { broadcastLog: log } = this
    if (log === null) return 'passed'
    if (isLossy && !await log.caughtUp(withinMs)) return 'late'
    return position === null ? 'passed' : await log.arrive(position, isLossy ? 0 : withinMs)
  }

  async #revive ({ state, stateVersion }: SessionSnapshot): Promise<unknown> {
    try {
      return await reviveState(state, stateVersion, this.hooks, this.limits.stateVersion)
    } catch (error) {
      throw presentable(error)
    }
  }

  get pendingMs (): number { return this.registry.limits.pendingMs }

  unpooled (session: TetherSession): void {
    this.claims.delete(session.claimCode!)
    // A session that moves takes its claim along.
    if (!session.isAway) this.keeper?.claimEnded(session.claimCode!)
    this.registry.releaseUnclaimed()
  }

  audiencesOf (session: TetherSession): ReadonlyArray<Audience<TetherSession>> {
    const { groups, subscriptions } = session
    const ofGroups = groups === null ? [this.everyone] : [this.everyone, ...Array.from(groups, (name) => this.groups.audience(name)!)]
    if (subscriptions !== null) for (const { audience } of subscriptions.keys()) ofGroups.push(audience)
    return ofGroups
  }

  attached (session: TetherSession): void {
    this.registry.attached(session)
  }

  detached (session: TetherSession): void {
    this.registry.detached(session)
    this.keeper?.detached(session)
  }

  /** A session that was here for a stream got none. */
  awaitStream (session: TetherSession): void {
    if (!session.everConnected) session.unclaim()
    else if (session.isOpen && session.stream === null) this.detached(session)
  }

  proved (session: TetherSession): void {
    this.registry.proved(session)
  }

  closing (session: TetherSession): void {
    session.unsettle()
    this.everyone.delete(session)
    this.groups.forget(session)
    this.topics?.forget(session)
  }

  closed (session: TetherSession): void {
    this.closing(session)
    this.sessions.delete(session.id)
    this.index.delete(session)
    this.keeper?.ended(session)
    if (session.isClosedForGood) this.registry.bury(session.id, session.everConnected ? null : session.claimCode, this.limits.reconnectMs)
    this.registry.remove(session)
    if (this.runtime.watch.seesSessionClose) this.#tellClosed(session)
  }

  #tellClosed (session: TetherSession): void {
    const { framesWritten, conflated, dropped, bytesWritten, eventsAccepted, handlerErrors, stalledMs } = session.counters
    this.runtime.watch.sessionClosed({
      session: session.shortId,
      url: this.url,
      reason: session.closeReason,
      ms: session.ageMs,
      updates: framesWritten,
      conflated,
      dropped,
      bytes: bytesWritten,
      events: eventsAccepted,
      errors: handlerErrors,
      stalledMs
    })
  }

  /** Logs what a topic's function threw, and calls `onError` with one of the subscribers. Never throws. */
  reportTopic (subscribers: ReadonlySet<TetherSession>, error: unknown, command: string): void {
    const [session] = subscribers
    this.counters.add('handlerErrors')
    logThrown(this.log, 'error', error, 'a topic of tether sessions failed', { command })
    if (session !== undefined) this.#callOnError(session, error, command)
  }

  report (session: TetherSession, error: unknown, command: string): void {
    logThrown(this.log, 'error', error, 'a handler of a tether session failed', { session: shortSessionId(session.id), command })
    this.#callOnError(session, error, command)
  }

  #callOnError (session: TetherSession, error: unknown, command: string): void {
    const { onError } = this.hooks
    if (onError === undefined) return
    const failed = (thrown: unknown) => {
      logThrown(this.log, 'error', thrown, 'onError of a tether session failed', { session: shortSessionId(session.id), command: 'onError' })
    }
    // If `onError` returns a promise, nothing else handles its rejection.
    new Promise((resolve) => { resolve(onError.call(this.hooks, session as never, error, { ...this.context, command } as never)) }).catch(failed)
  }
}
