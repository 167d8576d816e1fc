import { closeCodes } from '../../schemas/close-code.ts'
import { ArgumentError } from '../../schemas/errors.ts'
import type { Verdict } from '../../schemas/verdict.ts'
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
import type { CohortSeeker } from './cohorts.ts'
import type { NumberTakers } from './number-takers.ts'
import { PingAllowance } from './ping-allowance.ts'
import { SessionClock, type ClockOwner, type Phase } from './session-clock.ts'
import { SessionFeed, type FeedOwner } from './session-feed.ts'
import { createSessionId, shortSessionId } from './session-id.ts'
import { SessionInbox, type HookName, type InboxOwner } from './session-inbox.ts'
import type { ConnectionUse } from './session-registry.ts'
import type { SessionScope } from './session-scope.ts'

/** A session looks for its cohort at this flush of a stream. Its first flush writes only the opening, and groups may still change. */
const flushesToSettle = 2

/** How a session closes. */
export interface CloseOptions {
  /** Whether the client may come back, for a new session. Default false. */
  readonly reconnect?: boolean
  /** When the client may come back, in milliseconds; undefined for its own choice. */
  readonly retryMs?: number | undefined
  /** 0 cuts the stream and stops the wait for the present handler, also if the session closes already. Default: the session's own limits. */
  readonly patienceMs?: 0
}

/** One tab's session: its phases. The way down is its feed, the way up its inbox; its clock has all deadlines. */
export class TetherSession implements Session, FeedOwner, InboxOwner, ClockOwner, CohortSeeker {
  readonly id = createSessionId()
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
  /** The senders that took event numbers; null before the first sender with a name. */
  takers: NumberTakers | null = null
  /** Null before its first ping. */
  #pings: PingAllowance | null = null
  #phase: Phase
  /** Whether the session still has a place in the pool of prepared sessions. */
  #isPooled: boolean
  #everConnected = false
  /** Arrival of the request for the latest stream. */
  #latestArrival = 0
  #abort: AbortController | null = null
  #closeReason: CloseReason = 'closed'
  #closeReconnect = false
  #closed: Promise<void> | null = null
  #settleClosed: (() => void) | null = null

  constructor (scope: SessionScope<TetherSession>, state: unknown, { boundTo, owner, connection }: Applicant, claimCode: string | null) {
    const { runtime } = scope
    this.scope = scope
    this.state = state
    this.boundTo = boundTo
    this.owner = owner
    this.connection = connection
    this.claimCode = claimCode
    this.#phase = claimCode === null ? 'opening' : 'unclaimed'
    this.#isPooled = claimCode !== null
    this.deliveredUpTo = runtime.broadcasts.lastNumber
    const counters = new Counters(runtime.totals)
    this.feed = new SessionFeed(this, scope.limits, runtime, counters)
    this.inbox = new SessionInbox(this, scope, this.feed, runtime.budget, counters, runtime.limits)
    this.#clock = new SessionClock(this, scope, runtime.deadlines, performance.now())
    this.#clock.setAll()
  }

  // For handlers

  get connected (): boolean { return this.feed.stream !== null }

  get signal (): AbortSignal {
    if (this.#abort === null) {
      this.#abort = new AbortController()
      if (!this.isOpen) this.#abort.abort(this.#closeReason)
    }
    return this.#abort.signal
  }

  get stats (): SessionStats {
    this.catchUp()
    const { outbox, counters, stream, isBlocked } = this.feed
    const cohort = this.isInStep ? this.cohort : null
    cohort?.settle(this)
    const waiting = cohort?.waitingOf(this) ?? { frames: outbox.waiting, bytes: outbox.waitingBytes }
    const held = cohort?.heldOf(this) ?? { frames: outbox.next - outbox.first, bytes: outbox.heldBytes }
    return {
      ...snapshot(counters, this.stallMs(performance.now())),
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
    const frame = this.scope.contract.encode(name, data)
    this.catchUp()
    return this.feed.send(frame)
  }

  update<Result> (run: (session: this) => Result): Promise<Awaited<Result>> {
    if (typeof run !== 'function') throw new ArgumentError('session.update() takes a function')
    return this.inbox.update(run as (session: unknown) => Result)
  }

  close (reason: CloseReason = 'closed', options: CloseOptions = {}): Promise<void> {
    if (this.isOpen) this.#closeOnce(reason, options)
    if (options.patienceMs === 0) this.#destroyStream()
    return this.inbox.isWithinCurrent ? Promise.resolve() : this.whenClosed()
  }

  // For other parts of the plugin

  get phase (): Phase { return this.#phase }
  get isOpen (): boolean { return this.#phase !== 'closing' && this.#phase !== 'closed' }
  /** Whether it ever had a stream. */
  get everConnected (): boolean { return this.#everConnected }
  /** Whether it closed for good: browsers need not come back. */
  get isClosedForGood (): boolean { return !this.isOpen && !this.#closeReconnect }
  get acceptedSeq (): number { return this.inbox.acceptedSeq }
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
  }

  onCaughtUp (): void {
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
    if (this.feed.stream !== null) this.inbox.queueGapHook(this.scope.context)
  }

  /** Its client has all updates up to a number. */
  acknowledge (number: number): void {
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
   * @returns the verdict; null if a later request has the session already; then the stream ends
   */
  attach (stream: Stream, verdict: Verdict, seq: number, counted: boolean, arrival: number): Verdict | null {
    const now = performance.now()
    if (arrival < this.#latestArrival) {
      this.feed.closeReplaced(stream, this.#replacedFrame)
      return null
    }
    this.#latestArrival = arrival
    const { feed } = this
    const { limits, contract: { textNames } } = this.scope
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
    const from = feed.resume(isResumed ? seq : 0, now)
    const final = isResumed && from !== seq ? 'gap' : verdict
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
      text: counted && textNames.length > 0 ? textNames : undefined
    })
    feed.attach(stream, opening, counted ? null : `${this.id}.`)
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

  /** Queues an accepted event; `seq` is its number, 0 for none. */
  accept (name: string, data: unknown, seq: number, weight: number): void {
    if (!this.proven) this.#prove()
    // With a stream the session is not idle; the loss of the stream starts the time.
    if (this.feed.stream === null) this.#clock.lastEventAt = performance.now()
    this.inbox.accept(name, data, seq, weight)
  }

  /** Whether it takes `count` pings now. Counts them if so. */
  admitPings (count: number): boolean {
    const { waitingPings, pingsPerSecond } = this.scope.runtime.limits
    if (this.feed.waitingControls + count > waitingPings) return false
    const now = performance.now()
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
    this.#clock.leave(performance.now())
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

  // Its end

  #closeOnce (reason: CloseReason, { reconnect, retryMs }: CloseOptions): void {
    this.catchUp()
    this.scope.closing(this)
    this.#phase = 'closing'
    this.#closeReason = reason
    this.#closeReconnect = reconnect === true
    this.#abort?.abort(reason)
    if (this.feed.stream !== null) {
      this.#clock.closeBy = performance.now() + this.feed.patienceMs
      this.#clock.set('patience')
    }
    this.inbox.close(() => this.#closeStream(retryMs))
  }

  #destroyStream (): void {
    this.feed.stream?.destroy('closed')
    this.inbox.timeOut(performance.now())
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
    this.#clock.destroy()
    this.#abort?.abort(this.#closeReason)
    this.leavePool()
    this.scope.closed(this)
    // The last step: the others queue hooks.
    this.inbox.destroy()
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
