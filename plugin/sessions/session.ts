import type { FastifyBaseLogger } from 'fastify'
import { closeCodes } from '../../schemas/close-code.ts'
import { ArgumentError } from '../../schemas/errors.ts'
import type { Verdict } from '../../schemas/verdict.ts'
import type { LogPosition } from '../cluster/log-position.ts'
import { copyCompression } from '../carriers/stream-compression.ts'
import type { Carrier } from '../carriers/carrier.ts'
import type { Audience } from '../delivery/audience.ts'
import type { Cohort } from '../delivery/cohort.ts'
import type { Outbox } from '../delivery/outbox.ts'
import { Counters, snapshot } from '../metrics/counters.ts'
import { takenMark } from '../protocol/claim.ts'
import { goodbyeFrame, helloFrame, pongFrame } from '../protocol/control-frame.ts'
import type { Frame } from '../protocol/frame.ts'
import type { DisconnectReason, Stream } from '../streams/stream.ts'
import type { CloseReason, Session, SessionStats } from './api.ts'
import type { Applicant } from './applicant.ts'
import { checkClose, type CloseOptions } from './close-options.ts'
import type { CohortSeeker } from './cohorts.ts'
import type { JournalOrigin, SessionBackup } from './backup.ts'
import { Freezing } from './freezing.ts'
import { heldFrames, snapshotFrames } from './held-frames.ts'
import { keepState } from './kept-state.ts'
import { NumberTakers } from './number-takers.ts'
import { PingAllowance } from './ping-allowance.ts'
import { SessionClock, type ClockOwner, type Phase } from './session-clock.ts'
import { SessionFeed, type FeedOwner } from './session-feed.ts'
import { createSessionId, refOf, shortSessionId } from './session-id.ts'
import { Replies } from './replies.ts'
import { replyFrame, type Reply } from './reply.ts'
import { SessionInbox, type EventOrigin, type HookName, type InboxOwner } from './session-inbox.ts'
import type { ConnectionUse } from './session-registry.ts'
import type { SessionScope } from './session-scope.ts'
import type { FreezeOptions, FreezeReason, JournalEntry, RestoreFrom, SessionSnapshot } from './snapshot.ts'
import type { TopicMembership } from './topics-part.ts'

/** A session looks for its cohort at this flush of a stream. Its first flush writes only the opening, and groups may still change. */
const flushesToSettle = 2

/** Where a session was before. */
export interface SessionOrigin {
  readonly id: string
  /** Its ref where that does not follow from the id: nobody here knows the id that it had. */
  readonly ref?: string | undefined
  readonly snapshot: SessionSnapshot
  readonly from: RestoreFrom
}

/** What a session remembers of its way between nodes. */
interface Journey {
  /** Its way out of this node; null while it stays. */
  freezing: Freezing | null
  /** Settles with the end of the freeze in progress; null for none. */
  moving: Promise<void> | null
  hasMoved: boolean
  /** For the next `onConnect`. */
  restoredFrom: RestoreFrom | null
  /** After a crash: the number of the first update of which nobody knows whether the client has it; 0 for none. */
  unsureFrom: number
  /** Whether a part of what it did is lost. Its next stream tells its client. */
  owesGap: boolean
  /** Number of the first update that no other node can have sent. */
  sureFrom: number
}

/** When such an error of a session was last told. Few sessions ever have one. */
const stateErrorsAt = new WeakMap<TetherSession, number>()

/** One tab's session: its phases. The way down is its feed, the way up its inbox; its clock has all deadlines. */
export class TetherSession implements Session, FeedOwner, InboxOwner, ClockOwner, CohortSeeker {
  readonly id: string
  state: unknown
  readonly scope: SessionScope<TetherSession>
  readonly feed: SessionFeed
  readonly inbox: SessionInbox
  readonly #clock: SessionClock
  /** The owner of the session, by `bind` and the request that made it. */
  readonly boundTo: string | null
  /** Counts against `maxSessionsPerOwner`; null for no owner. */
  readonly owner: string | null
  /** The shared connection of its latest stream; kept by the registry. */
  connection: ConnectionUse | null
  /** The claim that `prepare` returned in place of the id; null for a session that was not prepared. */
  readonly claimCode: string | null
  /** Whether it ever posted an event or was resumed. */
  proven = false
  deliveredUpTo: number
  cohort: Cohort | null = null
  cohortKey: number | null = null
  place = -1
  /** Flushes since its audiences or its stream changed, up to `flushesToSettle`. */
  #flushes = 0
  /** Names of its groups; null before the first. */
  groups: Set<string> | null = null
  /** Its topics, each with the parameters that the client gave; null before the first. Kept by the endpoint's topics. */
  subscriptions: Map<TopicMembership, Readonly<Record<string, unknown>>> | null = null
  /** The senders that took event numbers; null before the first sender with a name. */
  takers: NumberTakers | null = null
  /** Its requests, and the replies that its client has not acknowledged; null before the first request. */
  replies: Replies | null = null
  /** What keeps it for a crash of its node; null where nobody does. */
  backup: SessionBackup | null = null
  /** Null before its first ping. */
  #pings: PingAllowance | null = null
  /** Worked out at its first use. */
  #ref: string | null
  #phase: Phase
  /** Whether the session still has a place in the pool of prepared sessions. */
  #isPooled: boolean
  #everConnected = false
  /** Arrival of the request for the latest stream. */
  #latestArrival = 0
  #abort: AbortController | null = null
  #log: FastifyBaseLogger | null = null
  #closeReason: CloseReason = 'closed'
  #closeReconnect = false
  #closed: Promise<void> | null = null
  #settleClosed: (() => void) | null = null
  /** Null for a session that neither came from another node nor leaves this one. */
  #journey: Journey | null = null

  /** @param origin null for a new session */
  constructor (scope: SessionScope<TetherSession>, state: unknown, { boundTo, owner, connection }: Applicant, claimCode: string | null, origin: SessionOrigin | null = null) {
    const { runtime } = scope
    this.id = origin?.id ?? createSessionId()
    this.#ref = origin?.ref ?? null
    this.scope = scope
    this.state = state
    this.boundTo = boundTo
    this.owner = owner
    this.connection = connection
    this.claimCode = claimCode
    this.#phase = claimCode === null ? 'opening' : 'unclaimed'
    this.#isPooled = claimCode !== null
    this.deliveredUpTo = runtime.broadcasts.lastNumber
    const counters = new Counters(scope.counters)
    this.feed = new SessionFeed(this, scope.limits, runtime, counters)
    this.inbox = new SessionInbox(this, scope, this.feed, runtime.budget, counters, runtime.limits, runtime.time)
    this.#clock = new SessionClock(this, scope, runtime.deadlines, runtime.time.now())
    if (origin !== null) this.#restore(origin)
    this.#clock.setAll()
  }

  // For handlers

  get connected (): boolean { return this.feed.stream !== null }
  get ref (): string { return this.#ref ??= refOf(this.id) }

  get signal (): AbortSignal {
    if (this.#abort === null) {
      this.#abort = new AbortController()
      if (!this.isOpen) this.#abort.abort(this.#closeReason)
      else if (this.#journey?.freezing?.isCertain === true) this.#abort.abort('moved')
    }
    return this.#abort.signal
  }

  get log (): FastifyBaseLogger {
    return this.#log ??= this.scope.log.child({ session: this.shortId })
  }

  get stats (): SessionStats {
    this.catchUp()
    const { outbox, counters, stream, isBlocked } = this.feed
    const cohort = this.isInStep ? this.cohort : null
    cohort?.settle(this)
    const waiting = cohort?.waitingOf(this) ?? { frames: outbox.waiting, bytes: outbox.waitingBytes }
    const held = cohort?.heldOf(this) ?? { frames: outbox.next - outbox.first, bytes: outbox.heldBytes }
    return {
      ...snapshot(counters, this.stallMs(this.scope.runtime.time.now())),
      queuedFrames: waiting.frames,
      queuedBytes: waiting.bytes,
      heldFrames: held.frames,
      heldBytes: held.bytes,
      queuedCommands: this.inbox.length,
      stalled: isBlocked,
      compression: stream === null ? null : copyCompression(stream.compression)
    }
  }

  send (name: string, data: unknown): Promise<boolean> {
    return this.sendFrame(this.scope.contract.encode(name, data))
  }

  update<Result> (run: (session: this) => Result): Promise<Awaited<Result>> {
    if (typeof run !== 'function') throw new ArgumentError('session.update() takes a function')
    return this.inbox.update(run as (session: unknown) => Result)
  }

  close (reason: CloseReason = 'closed', options: { reconnect?: boolean } = {}): Promise<void> {
    checkClose(reason, options)
    return this.closeWith(reason, options)
  }

  // For other parts of the plugin

  /** Closes it as `close` does, also in ways that only the plugin may choose. */
  closeWith (reason: CloseReason, options: CloseOptions): Promise<void> {
    if (this.isOpen) {
      this.#journey?.freezing?.cancel()
      this.#closeOnce(reason, options)
    }
    if (options.patienceMs === 0) this.#destroyStream()
    return this.inbox.isWithinCurrent ? Promise.resolve() : this.whenClosed()
  }

  get phase (): Phase { return this.#phase }
  get isOpen (): boolean { return this.#phase !== 'closing' && this.#phase !== 'closed' }
  /** Whether it ever had a stream. */
  get everConnected (): boolean { return this.#everConnected }
  /** Whether it closed for good: browsers need not come back. */
  get isClosedForGood (): boolean { return !this.isOpen && !this.#closeReconnect }
  get acceptedSeq (): number { return this.inbox.acceptedSeq }
  /** Why it closes; before, the reason for a close without one. */
  get closeReason (): CloseReason { return this.#closeReason }
  /** @returns as `send` does */
  sendFrame (frame: Frame): Promise<boolean> {
    this.catchUp()
    this.backup?.changed()
    return this.feed.send(frame)
  }

  /** Milliseconds since it was made. */
  get ageMs (): number { return this.scope.runtime.time.now() - this.#clock.createdAt }
  get shortId (): string { return shortSessionId(this.id) }
  /** Its stream; null while it has none. */
  get stream (): Stream | null { return this.feed.stream }
  get outbox (): Outbox { return this.feed.outbox }
  get counters (): Counters { return this.feed.counters }

  /** Duration of its present stall; 0 for no stall. */
  stallMs (now: number): number {
    return this.feed.stallMs(now)
  }

  append (frame: Frame): void {
    this.feed.append(frame)
  }

  writeAppended (now: number): void {
    this.feed.writeAppended(now)
  }

  scheduleAppended (): void {
    this.feed.scheduleAppended()
  }

  // In step with others

  get isInStep (): boolean { return this.place !== -1 }
  get audiences (): ReadonlyArray<Audience<TetherSession>> { return this.scope.audiencesOf(this) }
  get idPrefix (): string | null { return this.feed.idPrefix }
  get pieceBytes (): number { return this.feed.pieceBytes }
  get idleCarrier (): Carrier | null { return this.feed.idleCarrier }

  /** Receives all pending broadcasts. */
  catchUp (): void {
    const { broadcasts } = this.scope.runtime
    if (this.isInStep) broadcasts.catchUpCohort(this.cohort!)
    // One of the broadcasts may have left it out, and taken it out of step.
    if (!this.isInStep) broadcasts.catchUp(this)
  }

  leaveStep (): void {
    if (this.isInStep) this.cohort!.leave(this)
  }

  /** Goes out of its cohort before its audiences or its stream change. */
  unsettle (): void {
    this.catchUp()
    this.scope.cohorts.unsettle(this)
    this.#flushes = 0
    if (this.feed.outbox.hasUnwritten) this.feed.scheduleAppended()
    this.backup?.changed()
  }

  onCaughtUp (): void {
    if (this.replies?.hasLost === true) this.#sendLostReplies(this.replies)
    if (this.isInStep) return
    if (this.cohort !== null) this.cohort.join(this)
    // A closing session is in no audience, and gets no broadcasts.
    else if (this.isOpen && this.#flushes < flushesToSettle && ++this.#flushes === flushesToSettle) this.scope.cohorts.settle(this)
  }

  onFull (): void {
    this.feed.onFull()
  }

  onLeftStep (wroteAt: number): void {
    this.feed.onLeftStep(wroteAt)
  }

  /** Updates for it were lost on the way here. Its client gets a gap, and `onGap` runs if a stream is open. */
  noteLoss (): void {
    if (!this.isOpen) return
    this.catchUp()
    this.feed.lose()
    this.backup?.changed()
    if (this.feed.stream === null) return
    this.inbox.queueGapHook(this.scope.context)
    this.scope.topics?.refresh(this)
  }

  /** Sets the least milliseconds from one write of updates to the next, beyond `minIntervalMs`; 0 for none. */
  slow (paceMs: number): void {
    this.unsettle()
    this.feed.slow(paceMs)
  }

  /** Its client has all updates up to a number. */
  acknowledge (number: number): void {
    // A client that has lost count names a number far ahead.
    if (number <= this.feed.lastWritten) this.replies?.acknowledge(number)
    if (this.isInStep) this.cohort!.acknowledge(this, number)
    else this.outbox.acknowledge(number)
  }

  /**
   * Gives the session a stream, which replaces an older one.
   *
   * @param verdict the claim's verdict; `resumed` becomes `gap` if an update behind `seq` is lost
   * @param seq number of the last update that the client says it has
   * @param counted whether the client counts updates itself
   * @param arrival number of the request. Async hooks may reorder requests; the latest arrival wins
   * @returns the verdict; null if a later request has the session already, or it leaves this node; then the stream ends
   */
  attach (stream: Stream, verdict: Verdict, seq: number, counted: boolean, arrival: number): Verdict | null {
    const now = this.scope.runtime.time.now()
    if (arrival < this.#latestArrival) {
      this.feed.closeReplaced(stream, this.#replacedFrame)
      return null
    }
    const journey = this.#journey
    if (journey?.freezing?.isCertain === true) {
      this.feed.closeMoved(stream, goodbyeFrame({ reason: 'moved', reconnect: true }), closeCodes.goingAway)
      return null
    }
    journey?.freezing?.cancel()
    this.#latestArrival = arrival
    const { feed } = this
    const { limits, contract: { textNames, unnamed } } = this.scope
    this.unsettle()
    if (feed.stream !== null) {
      feed.replace(this.#replacedFrame, now)
      this.queueHook('onDisconnect', 'replaced', this.scope.context)
    }
    this.leavePool()
    this.#phase = 'open'
    this.#clock.leaveAt = Infinity
    this.#everConnected = true
    const isResumed = verdict === 'resumed'
    const isUnsure = isResumed && journey !== null && journey.unsureFrom !== 0 && (journey.owesGap || seq >= journey.unsureFrom)
    if (isUnsure) {
      // The node of before may not be dead, and have brought the log to this client until now.
      const isAhead = seq >= journey.unsureFrom
      // The gap takes a number: a client that loses this hello names the same update again, and is told again.
      const gapAt = Math.max(seq + 1, journey.unsureFrom)
      if (isAhead) feed.outbox.liftAbove(gapAt, now, journey.sureFrom, isPrivate)
      else feed.outbox.liftAbove(gapAt, now)
    }
    if (journey !== null) {
      journey.unsureFrom = 0
      journey.owesGap = false
    }
    const from = feed.resume(isResumed ? seq : 0, now)
    const final = isResumed && (isUnsure || from !== seq) ? 'gap' : verdict
    // A client that has lost count may claim any number, so what it has of these is unknown.
    if (final === 'resumed') this.replies?.acknowledge(seq)
    // Those that were lifted have other numbers now.
    else this.replies?.miss(0, isUnsure ? Infinity : from + 1)
    if (isResumed) this.proven = true
    // A session without a stream may have dropped updates before its page came. Its verdict does not say so.
    else if (from > 0) feed.outbox.announceGap()
    const opening = helloFrame({
      session: this.id,
      verdict: final,
      seq: isResumed ? from : 0,
      heartbeatMs: stream.heartbeatMs,
      maxBatch: limits.maxBatch,
      maxEventBytes: limits.maxEventBytes,
      accepted: this.acceptedSeq || undefined,
      durable: this.durable,
      text: counted && textNames.length > 0 ? textNames : undefined,
      unnamed: counted ? unnamed : undefined
    })
    feed.attach(stream, opening, counted ? null : `${this.id}.`)
    stream.announce(this.scope.url, final)
    this.scope.attached(this)
    this.#clock.setAll()
    return final
  }

  /** Queues a hook, if the configuration has it. Hooks do not count against `commandBuffer`. */
  queueHook (name: Exclude<HookName, 'onClose'>, ...given: readonly unknown[]): void {
    this.inbox.queueHook(name, ...given)
  }

  /** Whether `count` more events of `weight` bytes of memory may wait. */
  hasCapacity (count: number, weight: number): boolean {
    return this.inbox.hasCapacity(count, weight)
  }

  /** Whether `count` more requests fit. */
  hasRequestRoom (count: number): boolean {
    return (this.replies?.size ?? 0) + count <= this.scope.limits.maxRequests
  }

  /**
   * Queues an accepted event.
   *
   * @param seq its number; 0 for none
   * @param waiter gets the reply in place of the stream, or null if the session closes before the handler runs
   * @param origin what the engine's journal has of it; null for nothing
   */
  accept (name: string, data: unknown, seq: number, weight: number, waiter: ((reply: Reply | null) => void) | null = null, origin: EventOrigin | null = null): void {
    if (!this.proven) this.#prove()
    // With a stream the session is not idle; the loss of the stream starts the time.
    if (this.feed.stream === null) this.#clock.lastEventAt = this.scope.runtime.time.now()
    const { contract, limits, runtime } = this.scope
    if (!contract.isRequest(name)) return this.inbox.accept(name, data, seq, weight, null, origin)
    const replies = this.replies ??= new Replies(limits, runtime.budget)
    replies.begin()
    this.inbox.accept(name, data, seq, weight, {
      encode: (value) => contract.encodeReply(name, value),
      settle: (reply) => {
        replies.end()
        if (waiter !== null) waiter(reply)
        else if (reply !== null) this.#sendReply(replies, seq, reply)
      }
    }, origin)
  }

  #sendReply (replies: Replies, seq: number, reply: Reply): void {
    this.catchUp()
    const frame = replyFrame(seq, reply)
    const number = this.feed.place(frame)
    if (number === 0) return
    replies.keep(seq, frame, number)
    this.feed.scheduleAppended()
  }

  /** Sends replies again, as many as may wait. */
  #sendLostReplies (replies: Replies): void {
    this.catchUp()
    replies.sendLost((frame) => this.feed.admits(frame) ? this.feed.place(frame) : 0)
    this.feed.scheduleAppended()
  }

  /** Whether it takes `count` pings now. Counts them if so. */
  admitPings (count: number): boolean {
    const { waitingPings, pingsPerSecond } = this.scope.runtime.limits
    if (this.feed.waitingControls + count > waitingPings) return false
    const now = this.scope.runtime.time.now()
    return (this.#pings ??= new PingAllowance(pingsPerSecond, now)).take(count, now)
  }

  /** Answers a ping, behind all updates that wait. Without a stream, nobody gets the answer. */
  answerPing (id: string | number): void {
    this.catchUp()
    this.feed.sendBehind(pongFrame(id))
  }

  #prove (): void {
    this.proven = true
    this.scope.proved(this)
  }

  /** The page said goodbye. The session ends unless the page comes back within the grace. */
  leave (): void {
    this.#clock.leave(this.scope.runtime.time.now())
    this.backup?.changed()
  }

  /** A request is about to give the prepared session its first stream. */
  claim (): void {
    this.#phase = 'opening'
  }

  /** That request opened no stream; another request may claim the session. */
  unclaim (): void {
    if (this.#phase === 'opening') this.#phase = 'unclaimed'
    this.#clock.setAll()
  }

  /** Its claim is no longer valid: it has a stream, or its time is over. */
  leavePool (): void {
    if (!this.#isPooled) return
    this.#isPooled = false
    this.scope.unpooled(this)
  }

  // Called by its own parts

  onTrimDue (): void {
    this.#clock.set('replayAge')
  }

  onTimeoutDue (): void {
    this.#clock.set('handler')
  }

  onStallOver (since: number, now: number): void {
    this.inbox.excludeStall(since, now)
  }

  onDropped (from: number, end: number): void {
    this.replies?.miss(from, end)
  }

  onRoom (): void {
    this.inbox.resume()
  }

  onStreamGone (reason: DisconnectReason, now: number): void {
    this.unsettle()
    this.#clock.detachedAt = now
    this.queueHook('onDisconnect', reason, this.scope.context)
    if (!this.isOpen) return
    this.#clock.setAll()
    this.scope.detached(this)
  }

  report (error: unknown, command: string): void {
    this.scope.report(this, error, command)
  }

  /** Tells that its state cannot be kept. Each event and each try to move may show that again, so it is told once in a while. */
  reportState (error: unknown): void {
    const { time, limits } = this.scope.runtime
    const now = time.now()
    if (now - (stateErrorsAt.get(this) ?? -Infinity) < limits.stateErrorMs) return
    stateErrorsAt.set(this, now)
    this.report(error, 'serialize')
  }

  // Backups

  /** Lets its node keep it for a crash; null for no longer. */
  keepBy (backup: SessionBackup | null): void {
    this.backup = backup
    this.inbox.watch(backup === null ? null : () => { backup.settled() })
  }

  /** The number of the last event that survives a crash of this node, for an answer; undefined where that is the last one accepted. */
  get durable (): number | undefined {
    const { backup } = this
    return backup === null || backup.durableSeq >= this.acceptedSeq ? undefined : backup.durableSeq
  }

  /** The same for a heartbeat, which does not say what is accepted; undefined where answers never say it. */
  get durableNow (): number | undefined {
    const { backup } = this
    return backup === null || backup.journal !== null || this.acceptedSeq === 0 ? undefined : Math.min(backup.durableSeq, this.acceptedSeq)
  }

  /**
   * Makes a snapshot for the case that this node dies; the session goes on. To be called between two commands. It holds no updates: the
   * client gets a gap then.
   *
   * @param isAwaited whether a client is about to get its first stream, and may come back
   * @throws `FST_ERR_TETHER_STATE` if its state cannot be serialised
   */
  backUp (isAwaited: boolean): SessionSnapshot {
    const { scope, feed } = this
    const state = keepState(this.state, scope.hooks)
    const pending = Array.from(this.inbox.origins as Map<JournalOrigin, number>, ([{ entry, count }, left]): JournalEntry => ({ ...entry, done: count - left }))
    // With `persist: 'command'` this runs behind each command. A spread takes ten times as long for an object of this size.
    return Object.assign(
      this.#snapshotOf(state, scope.broadcastLog?.position() ?? null, scope.runtime.time.now()),
      {
        first: feed.lastWritten + 1,
        frames: [],
        framesAfter: null,
        // Those that are there already, the client ignores.
        replies: this.replies?.snapshot().map(([seq, text]) => [seq, text, 0] as const) ?? [],
        isBackup: true as const
      },
      isAwaited ? { everConnected: true } : null,
      feed.stream === null && !isAwaited ? null : { detachedMs: 0 },
      pending.length === 0 ? null : { pending }
    )
  }

  // Moving

  /** Settles when the freeze in progress is over, whatever its outcome; null for none. A request for the session waits for it. */
  get moving (): Promise<void> | null { return this.#journey?.moving ?? null }
  /** Whether the session leaves this node, perhaps, or has left it. */
  get isAway (): boolean { return this.#journey !== null && this.#journey.freezing !== null }
  /** Whether it leaves this node for certain. */
  get isLeaving (): boolean { return this.moving !== null && this.#journey?.freezing?.isCertain === true }

  /** Where it was before, for the first `onConnect` since; null afterwards. */
  takeRestored (): RestoreFrom | null {
    const journey = this.#journey
    if (journey === null) return null
    const from = journey.restoredFrom
    journey.restoredFrom = null
    return from
  }

  /**
   * Takes the session out of this node: it accepts nothing more, runs what its channel holds, ends its stream, runs
   * `onDisconnect` and `onFreeze`, and in one synchronous step is no longer delivered to and becomes a snapshot. Then this object is dead:
   * it is in no list of the endpoint, and its slot is free.
   *
   * @returns null if the session stays as it was: a command ran beyond the deadline, its client came back meanwhile, or it closes.
   * Rejects with `FST_ERR_TETHER_STATE` if its state cannot be serialised, which is reported; then it stays as it was, too.
   */
  async freeze (reason: FreezeReason, options: FreezeOptions): Promise<SessionSnapshot | null> {
    if (!this.isOpen || this.isAway) return null
    const freezing = new Freezing({
      session: this,
      keepState: () => keepState(this.state, this.scope.hooks),
      leaveNode: () => { this.#leaveNode(reason, options.retryMs) },
      takeOut: (state) => this.#takeOut(state)
    }, options)
    const journey = this.#journey ??= { freezing: null, moving: null, hasMoved: false, restoredFrom: null, unsureFrom: 0, owesGap: false, sureFrom: 0 }
    journey.freezing = freezing
    const run = freezing.run()
    const settled = () => { journey.moving = null }
    journey.moving = run.then(settled, settled)
    let snapshot: SessionSnapshot | null = null
    try {
      snapshot = await run
    } catch (error) {
      this.reportState(error)
      throw error
    } finally {
      if (snapshot === null) journey.freezing = null
    }
    return snapshot
  }

  #leaveNode (reason: FreezeReason, retryMs: number | undefined): void {
    const { feed, scope: { context } } = this
    this.#abort?.abort('moved')
    this.unsettle()
    const now = this.scope.runtime.time.now()
    const isReplaced = reason === 'replaced'
    const goodbye = isReplaced ? this.#replacedFrame : goodbyeFrame({ reason, reconnect: true }, { retryMs })
    if (feed.moveOut(goodbye, isReplaced ? closeCodes.replaced : closeCodes.goingAway, now)) {
      this.#clock.detachedAt = now
      this.#clock.setAll()
      this.queueHook('onDisconnect', 'moved', context)
    }
    this.queueHook('onFreeze', context)
  }

  /** From the position in the log to the end of the session, nothing else runs. */
  #takeOut (keptState: string | null): SessionSnapshot | null {
    const { scope, feed } = this
    let state = keptState
    try {
      state = keepState(this.state, scope.hooks)
    } catch (error) {
      // The last hooks broke it. The session goes on with the state before them.
      this.reportState(error)
    }
    if (!this.isOpen) return null
    const position = scope.broadcastLog?.position() ?? null
    this.unsettle()
    const now = this.scope.runtime.time.now()
    const { unsureFrom, owesGap, sureFrom } = this.#journey!
    // Its client may have those of another node, under whatever numbers.
    if (owesGap) {
      feed.outbox.liftAbove(feed.outbox.next - 1, now, sureFrom, isPrivate)
      this.replies?.miss(0, Infinity)
    }
    const snapshot = Object.assign(
      this.#snapshotOf(state, position, now),
      snapshotFrames(feed.outbox, scope.broadcastLog, now),
      { replies: this.replies?.snapshot() ?? [] },
      owesGap ? { unsureFrom } : null
    )
    this.#journey!.hasMoved = true
    this.destroy('moved')
    return snapshot
  }

  /** All of a snapshot but the updates and the replies. */
  #snapshotOf (state: string | null, log: LogPosition | null, now: number): Omit<SessionSnapshot, 'first' | 'frames' | 'framesAfter' | 'replies'> {
    const { scope } = this
    const clock = this.#clock
    return {
      state,
      stateVersion: scope.limits.stateVersion,
      boundTo: this.boundTo,
      owner: this.owner,
      everConnected: this.#everConnected,
      proven: this.proven,
      counted: this.#everConnected ? this.feed.counted : null,
      groups: this.groups === null ? [] : [...this.groups],
      ...this.inbox.snapshot(),
      takers: [...this.takers?.turns ?? []],
      log,
      takenAt: Date.now(),
      ageMs: now - clock.createdAt,
      detachedMs: now - clock.detachedAt,
      idleMs: now - clock.lastEventAt,
      leaveMs: clock.leaveAt === Infinity ? null : Math.max(0, clock.leaveAt - now),
      subscriptions: scope.topics?.snapshot(this) ?? []
    }
  }

  /** It has got again what the log brought behind its snapshot. The node of before may have sent a part of that. */
  onReplayed (): void {
    if (this.#journey?.owesGap === true) this.#journey.sureFrom = this.feed.outbox.next
  }

  #restore ({ snapshot, from }: SessionOrigin): void {
    const now = this.scope.runtime.time.now()
    // Wall clocks of nodes differ. A session that was in memory just now needs none.
    const elapsedMs = from === 'moved' ? 0 : Math.max(0, Date.now() - snapshot.takenAt)
    const { scope, feed, inbox } = this
    const clock = this.#clock
    this.#phase = snapshot.everConnected ? 'open' : 'opening'
    this.#everConnected = snapshot.everConnected
    this.proven = snapshot.proven
    inbox.restore(snapshot)
    if (snapshot.takers.length > 0) this.takers = new NumberTakers(snapshot.takers)
    clock.createdAt = now - snapshot.ageMs - elapsedMs
    // Nobody knows when a stream ended that was open behind a backup.
    clock.detachedAt = snapshot.isBackup === true && snapshot.detachedMs === 0 ? now : now - snapshot.detachedMs - elapsedMs
    clock.lastEventAt = now - snapshot.idleMs - elapsedMs
    if (snapshot.leaveMs !== null) clock.leaveAt = now + snapshot.leaveMs
    const { first, frames } = heldFrames(snapshot, scope.broadcastLog, elapsedMs)
    feed.take(first, frames, now, snapshot.counted === false ? `${this.id}.` : null)
    if (snapshot.replies.length > 0) {
      this.replies = new Replies(scope.limits, scope.runtime.budget)
      this.replies.restore(snapshot.replies)
    }
    this.#journey = { freezing: null, moving: null, hasMoved: false, restoredFrom: from, unsureFrom: from === 'crashed' ? feed.outbox.cursor : snapshot.unsureFrom ?? 0, owesGap: snapshot.isBackup === true || snapshot.unsureFrom !== undefined, sureFrom: 0 }
  }

  // Its end

  #closeOnce (reason: CloseReason, { reconnect, retryMs }: CloseOptions): void {
    this.catchUp()
    this.scope.closing(this)
    this.#phase = 'closing'
    this.#closeReason = reason
    this.#closeReconnect = reconnect === true
    this.#abort?.abort(reason)
    if (this.feed.stream !== null) {
      this.#clock.closeBy = this.scope.runtime.time.now() + this.feed.patienceMs
      this.#clock.set('patience')
    }
    this.inbox.close(() => this.#closeStream(retryMs))
  }

  #destroyStream (): void {
    this.feed.stream?.destroy('closed')
    this.inbox.timeOut(this.scope.runtime.time.now())
  }

  /** The last command but the hooks: ends the stream, then runs the hooks. */
  async #closeStream (retryMs: number | undefined): Promise<void> {
    const reason = this.#closeReason
    const closeCode = reason === 'draining' || reason === 'shutdown' ? closeCodes.goingAway : closeCodes.normal
    const gone = this.feed.close(goodbyeFrame({ reason, reconnect: this.#closeReconnect }, { retryMs }), closeCode)
    if (gone !== null) await gone
    if (this.#phase === 'closed') return
    if (!this.#everConnected) return this.#destroyParts()
    this.inbox.queueLastHook([reason, this.scope.context], () => this.#destroyParts())
  }

  /** Ends the session now: no waiting command runs, no frame is written, no hook is called. Its client may come back for a new one. */
  destroy (reason: CloseReason = this.#closeReason): void {
    if (this.#phase === 'closed') return
    this.#closeReason = reason
    this.#closeReconnect = true
    this.#destroyParts()
  }

  #destroyParts (): void {
    if (this.#phase === 'closed') return
    this.#phase = 'closed'
    this.feed.destroy()
    this.replies?.clear()
    this.#clock.destroy()
    this.#abort?.abort(this.#closeReason)
    this.leavePool()
    this.scope.closed(this)
    // The last step: the others queue hooks.
    this.inbox.destroy(this.#journey?.hasMoved === true)
    this.#settleClosed?.()
  }

  /** Resolves when the session is closed and its hooks have run. */
  whenClosed (): Promise<void> {
    if (this.#phase === 'closed') return Promise.resolve()
    return this.#closed ??= new Promise((resolve) => { this.#settleClosed = resolve })
  }

  /** Tells a client that a newer stream replaced its own; `takenMark` stops a browser's reconnects. */
  get #replacedFrame (): string {
    return goodbyeFrame({ reason: 'replaced', reconnect: false }, { id: `${this.id}.${takenMark}` })
  }
}

/** Whether no other node has a frame. */
function isPrivate (frame: Frame): boolean {
  return !frame.isOfLog
}
