import { defaults } from '../../schemas/defaults.ts'
import { ArgumentError, BusyError, HandlerTimeoutError, SessionClosedError } from '../../schemas/errors.ts'
import { copyCompression } from '../carriers/stream-compression.ts'
import { Command, CommandChannel, type CommandOwner } from '../commands/command-channel.ts'
import { isSyncCallback } from '../commands/sync-callback.ts'
import type { BroadcastMember } from '../delivery/broadcast-queue.ts'
import type { Deadline } from '../delivery/deadline-queue.ts'
import type { Holder } from '../delivery/holder.ts'
import { Outbox } from '../delivery/outbox.ts'
import { SendGate } from '../delivery/send-gate.ts'
import { Counters, snapshot } from '../metrics/counters.ts'
import { takenMark } from '../protocol/claim.ts'
import { closeCodes } from '../protocol/close-code.ts'
import { goodbyeFrame, helloFrame } from '../protocol/control-frame.ts'
import type { Frame } from '../protocol/frame.ts'
import type { Verdict } from '../protocol/verdict.ts'
import type { DisconnectReason, Stream, StreamReader } from '../streams/stream.ts'
import type { CloseReason, Session, SessionStats } from './api.ts'
import type { Applicant } from './applicant.ts'
import { createSessionId, shortSessionId } from './session-id.ts'
import type { ConnectionUse } from './session-registry.ts'
import type { SessionScope } from './session-scope.ts'

type Phase =
  /** Made by `prepare`; nobody has claimed it yet. */
  | 'pending'
  /** Its first stream is on its way through Fastify's hooks. */
  | 'opening'
  | 'open'
  /** Being closed: nothing new is accepted. */
  | 'closing'
  | 'closed'

/** So much waiting is written before the turn of the event loop is over. */
const pressedFrames = 256

/** How often in `replayAgeMs` the age of what was written is looked at, at most. */
const ageLooks = 8

export class TetherSession implements Session, StreamReader, CommandOwner, BroadcastMember, Deadline, Holder {
  readonly id = createSessionId()
  state: unknown
  dueAt = 0
  heapIndex = -1
  readonly outbox: Outbox
  readonly counters: Counters
  readonly scope: SessionScope<TetherSession>
  /** Whom it is bound to, as `bind` told of the request that made it. */
  readonly boundTo: string | null
  /** For whom it counts in `maxSessionsPerOwner`; null for nobody. */
  readonly owner: string | null
  /** On which its latest stream was opened, if others share it; kept by the registry. */
  connection: ConnectionUse | null
  /** What `prepare` gave out in place of the id; null for a session that was not prepared. */
  readonly claimCode: string | null
  /** Whether it ever posted an event or was resumed, so that it is no drive-by. */
  proven = false
  servedUpTo: number
  /** Groups that it is in; null before the first. */
  groups: Set<string> | null = null
  #phase: Phase
  /** Whether it still takes a place in the pool of prepared sessions. */
  #isPooled: boolean
  #stream: Stream | null = null
  #idPrefix: string | null = null
  #counted = false
  readonly #channel: CommandChannel
  readonly #gate: SendGate
  /** Last `seq` accepted; 0 before the first. */
  #acceptedSeq = 0
  #stalledSince = 0
  readonly #createdAt: number
  #detachedAt: number
  #lastEventAt: number
  #leaveAt = Infinity
  /** When the age of what was written is looked at; Infinity when nothing is kept. */
  #ageAt = Infinity
  #everConnected = false
  /** That of the request which got the latest stream. */
  #servedArrival = 0
  #abort: AbortController | null = null
  #closeReason: CloseReason = 'closed'
  #closeReconnect = false
  /** Whether all that a closing session had to write is written, and only its hooks are left to run. */
  #isOver = false
  /** When a closing session waits no longer for a reader that blocks it. */
  #closeBy = Infinity
  #streamGone: (() => void) | null = null
  #closed: Promise<void> | null = null
  #settleClosed: (() => void) | null = null

  constructor (scope: SessionScope<TetherSession>, state: unknown, { boundTo, owner, connection }: Applicant, claimCode: string | null) {
    this.scope = scope
    this.state = state
    this.boundTo = boundTo
    this.owner = owner
    this.connection = connection
    this.claimCode = claimCode
    this.#phase = claimCode === null ? 'opening' : 'pending'
    this.#isPooled = claimCode !== null
    this.counters = new Counters(scope.runtime.totals)
    this.servedUpTo = scope.runtime.broadcasts.lastNumber
    this.outbox = new Outbox(scope.limits, scope.runtime.budget)
    this.#channel = new CommandChannel(scope.limits.commandBuffer, this, scope.runtime.budget, scope.runtime.limits)
    this.#gate = new SendGate(scope.runtime.limits)
    const now = performance.now()
    this.#createdAt = now
    this.#detachedAt = now
    this.#lastEventAt = now
    this.#setDeadline(now)
  }

  // What handlers see

  get connected (): boolean { return this.#stream !== null }

  get signal (): AbortSignal {
    if (this.#abort === null) {
      this.#abort = new AbortController()
      if (!this.isOpen) this.#abort.abort(this.#closeReason)
    }
    return this.#abort.signal
  }

  get stats (): SessionStats {
    this.scope.runtime.broadcasts.catchUp(this)
    const { outbox } = this
    return {
      ...snapshot(this.counters, this.stallMs(performance.now())),
      queuedFrames: outbox.waiting,
      queuedBytes: outbox.waitingBytes,
      heldFrames: outbox.next - outbox.first,
      heldBytes: outbox.heldBytes,
      queuedCommands: this.#channel.length,
      stalled: this.#isBlocked,
      compression: this.#stream === null ? null : copyCompression(this.#stream.compression)
    }
  }

  send (name: string, data: unknown): Promise<boolean> {
    const frame = this.scope.contract.encode(name, data)
    if (this.#isBeyondReach) return SendGate.refused
    this.scope.runtime.broadcasts.catchUp(this)
    this.append(frame)
    this.appended(null)
    return this.#isBlocked ? this.#gate.wait() : this.#gate.grant()
  }

  update<Result> (run: (session: this) => Result): Promise<Awaited<Result>> {
    if (typeof run !== 'function') throw new ArgumentError('session.update() takes a function')
    const promise = this.#channel.isWithinCurrent() ? this.#runWithin(run) : this.#enqueue(run)
    // A caller may ignore it: what went wrong has been reported, or the session is gone.
    promise.catch(() => {})
    return promise
  }

  async #runWithin<Result> (run: (session: this) => Result): Promise<Awaited<Result>> {
    try {
      return await run(this)
    } catch (error) {
      this.#reportFault(error, 'update')
      throw error
    }
  }

  #enqueue<Result> (run: (session: this) => Result): Promise<Awaited<Result>> {
    return new Promise<Awaited<Result>>((resolve, reject) => {
      if (!this.isOpen) return reject(new SessionClosedError())
      if (!this.#channel.hasCapacity(1)) return reject(new BusyError())
      let result: Result
      const command = new Command('update', () => (result = run(this)), (fault) => {
        if (fault === null) resolve(result as Awaited<Result>)
        else reject(fault.error)
      })
      command.isSync = isSyncCallback(run)
      this.#channel.push(command)
    })
  }

  close (reason: CloseReason = 'closed', options: { reconnect?: boolean } = {}): Promise<void> {
    this.beginClose(reason, options.reconnect === true)
    return this.#channel.isWithinCurrent() ? Promise.resolve() : this.whenClosed()
  }

  // What the plugin's other parts use

  get isOpen (): boolean { return this.#phase !== 'closing' && this.#phase !== 'closed' }
  /** Whether it ever had a stream. */
  get everConnected (): boolean { return this.#everConnected }
  /** Whether it was closed for good, so that browsers need not come back. */
  get isClosedForGood (): boolean { return !this.isOpen && !this.#closeReconnect }
  get acceptedSeq (): number { return this.#acceptedSeq }
  get idPrefix (): string | null { return this.#idPrefix }
  get counted (): boolean { return this.#counted }
  get shortId (): string { return shortSessionId(this.id) }
  /** Its stream; null while it has none. */
  get stream (): Stream | null { return this.#stream }

  /** How long its present stall has lasted; 0 when it does not stall. */
  stallMs (now: number): number {
    return this.#stalledSince === 0 ? 0 : now - this.#stalledSince
  }

  append (frame: Frame): void {
    if (this.#phase === 'closed' || !this.outbox.append(frame)) return
    this.counters.add('conflated')
  }

  appended (now: number | null): void {
    if (this.#phase === 'closed') return
    const { outbox, counters } = this
    const { limits, runtime } = this.scope
    const { waiting } = outbox
    counters.raiseHighWater(waiting)
    const stream = this.#stream
    if (stream !== null && stream.writable) {
      if (now !== null) stream.flush(now)
      else if (this.isPressed) stream.flush(performance.now())
      else runtime.scheduler.schedule(stream)
    }
    if (outbox.waiting > 1 && (outbox.waiting > limits.queueFrames || outbox.waitingBytes > limits.queueBytes)) this.overflow()
    if (runtime.budget.isExceeded) runtime.budget.onExceeded()
    if (this.#stalledSince === 0 && this.#isBlocked) this.#stall()
  }

  /** Brings the outbox back under its limits, as `onOverflow` says. */
  overflow (): void {
    const { onOverflow, queueFrames, queueBytes } = this.scope.limits
    if (onOverflow === 'disconnect') this.#disconnectOverflowing()
    this.dropOldest(queueFrames, queueBytes)
  }

  get heldWeight (): number {
    return this.outbox.share + (this.#stream?.heldWeight ?? 0)
  }

  /** All together hold too much, and its share is to be at most `weight`: its reader is over its limits, however little waits for it. */
  shed (weight: number): void {
    this.#flushNow()
    const ofStream = this.#stream?.heldWeight ?? 0
    this.outbox.forgetTo(weight - ofStream)
    if (this.heldWeight <= weight) return
    if (this.scope.limits.onOverflow === 'disconnect') this.#disconnectOverflowing()
    this.#countDropped(this.outbox.dropTo(weight - (this.#stream?.heldWeight ?? 0)))
    // What its stream has in hand goes only with it.
    if (this.heldWeight > weight) this.#disconnectOverflowing()
  }

  letGo (frame: Frame): void {
    if (this.outbox.placeOf(frame) === 0) return
    this.#flushNow()
    this.outbox.acknowledge(this.outbox.placeOf(frame))
    if (this.outbox.placeOf(frame) === 0) return
    if (this.scope.limits.onOverflow === 'disconnect') this.#disconnectOverflowing()
    this.#countDropped(this.outbox.dropThrough(this.outbox.placeOf(frame)))
  }

  /** What its reader takes at once need not be dropped. */
  #flushNow (): void {
    const stream = this.#stream
    if (stream !== null && stream.writable && this.outbox.pending) stream.flush(performance.now())
  }

  #disconnectOverflowing (): void {
    if (this.#stream === null) return
    this.counters.add('overflowDisconnects')
    this.#stream.destroy('overflow')
  }

  dropOldest (frames: number, bytes: number): void {
    this.#countDropped(this.outbox.dropOldest(frames, bytes))
  }

  #countDropped (dropped: number): void {
    this.counters.add('dropped', dropped)
    if (dropped > 0 && this.#stream !== null) this.scope.runtime.scheduler.schedule(this.#stream)
  }

  /**
   * Gives the session its stream, which takes over from an older one.
   *
   * @param seq number of the last update that the reader says it has
   * @param verdict `new` and `expired` as the claim was judged; `resumed` becomes `gap` when something after `seq` is lost
   * @param arrival place of the request among all; hooks may hold up one longer than another, and who asked last is the one that is still there
   * @returns the verdict; null when one who asked later has the session already, and this stream is ended
   */
  attach (stream: Stream, verdict: Verdict, seq: number, counted: boolean, arrival: number): Verdict | null {
    const now = performance.now()
    if (arrival < this.#servedArrival) {
      this.#replace(stream)
      return null
    }
    this.#servedArrival = arrival
    const { limits, contract: { textNames } } = this.scope
    this.scope.runtime.broadcasts.catchUp(this)
    this.#takeOver(now)
    this.#leavePool()
    this.#phase = 'open'
    this.#leaveAt = Infinity
    this.#everConnected = true
    this.#counted = counted
    this.#idPrefix = counted ? null : `${this.id}.`
    const isResumed = verdict === 'resumed'
    const from = this.outbox.resume(isResumed ? seq : 0, now)
    const final = isResumed && from !== seq ? 'gap' : verdict
    if (isResumed) this.proven = true
    // What a session that waited for its page has dropped is no matter of a verdict, which says that it is new.
    else if (from > 0) this.outbox.announceGap()
    this.#stream = stream
    this.scope.attached(this)
    stream.attach(this, helloFrame({
      session: this.id,
      verdict: final,
      seq: isResumed ? from : 0,
      heartbeatMs: stream.heartbeatMs,
      maxBatch: limits.maxBatch,
      maxEventBytes: limits.maxEventBytes,
      accepted: this.#acceptedSeq || undefined,
      text: counted && textNames.length > 0 ? textNames : undefined
    }))
    this.#setDeadline(now)
    return final
  }

  /** Queues a hook, if the configuration has it, past the channel's bound. */
  queueHook (name: 'onConnect' | 'onDisconnect' | 'onJoin' | 'onLeave', ...given: readonly unknown[]): void {
    const { hooks } = this.scope
    if (hooks[name] !== undefined) this.#pushHook(name, hooks[name], given)
  }

  #pushHook (name: string, hook: ((...given: never[]) => unknown) | undefined, given: readonly unknown[], onSettled: (() => void) | null = null): void {
    this.#pushUnbounded(new Command(name, () => hook?.call(this.scope.hooks, ...[this, ...given] as never[]), onSettled), hook === undefined || isSyncCallback(hook))
  }

  #pushUnbounded (command: Command, isSync: boolean): void {
    command.bounded = false
    command.isSync = isSync
    this.#channel.push(command)
  }

  /** Whether so many events may be queued, which take about so much memory. */
  hasCapacity (count: number, weight: number): boolean {
    return this.#channel.hasCapacity(count) && this.#channel.admits(weight)
  }

  /** Queues an accepted event; `seq` is the number that it took, 0 for none. */
  accept (name: string, data: unknown, seq: number, weight: number): void {
    if (seq !== 0) this.#acceptedSeq = seq
    if (!this.proven) this.#prove()
    // With a stream it is not idle, and the time counts from when it loses it.
    if (this.#stream === null) this.#lastEventAt = performance.now()
    this.counters.add('eventsAccepted')
    const command = this.scope.commandOf(this, name, data)
    command.weight = weight
    this.#channel.push(command)
  }

  #prove (): void {
    this.proven = true
    this.scope.proved(this)
  }

  /** The page went away; unless it comes back within the grace, the session ends. */
  leave (): void {
    if (this.#leaveAt !== Infinity) return
    this.#leaveAt = performance.now() + defaults.fixed.leaveGraceMs
    this.scope.runtime.deadlines.set(this, this.#leaveAt)
  }

  beginClose (reason: CloseReason, reconnect: boolean, retryMs?: number): void {
    if (!this.isOpen) return
    this.scope.runtime.broadcasts.catchUp(this)
    this.scope.closing(this)
    this.#phase = 'closing'
    this.#closeReason = reason
    this.#closeReconnect = reconnect
    this.#leaveAt = Infinity
    this.#abort?.abort(reason)
    if (this.#stream !== null) {
      this.#closeBy = performance.now() + this.#patienceMs(this.#stream)
      this.scope.runtime.deadlines.set(this, this.#closeBy)
    }
    this.#pushUnbounded(new Command('close', () => this.#finish(retryMs), null, false), true)
  }

  /** Resolves when the session is closed and its hooks have run. */
  whenClosed (): Promise<void> {
    if (this.#phase === 'closed') return Promise.resolve()
    this.#closed ??= new Promise((resolve) => { this.#settleClosed = resolve })
    return this.#closed
  }

  evict (): void {
    this.beginClose('evicted', true)
  }

  /** Time is up: the stream is cut, a handler that still runs is waited for no longer. */
  hurry (): void {
    this.#stream?.destroy('closed')
    const command = this.#channel.current
    if (command?.timed === true) this.#channel.abandon(new HandlerTimeoutError(command.name, Math.round(performance.now() - command.startedAt)))
  }

  /** Ends it now, whatever still waits. */
  abandon (): void {
    this.#closeReconnect = true
    this.#conclude()
  }

  /** A request is about to give the prepared session its first stream. */
  claim (): void {
    this.#phase = 'opening'
  }

  /** That request did not come to a stream; another may try. */
  unclaim (): void {
    if (this.#phase === 'opening') this.#phase = 'pending'
    this.#setDeadline(performance.now())
  }

  /** Undoes a session whose stream never came about: no hook has run, none will. */
  discard (): void {
    this.abandon()
  }

  // What it reads from and is told by others

  get hasRoom (): boolean { return !this.#isBlocked }
  get paceMs (): number { return this.scope.limits.minIntervalMs }

  get isPressed (): boolean {
    const { waiting, waitingBytes } = this.outbox
    const { queueFrames, queueBytes, minIntervalMs } = this.scope.limits
    if (waiting > queueFrames || waitingBytes > queueBytes) return true
    // With a pace, one write is one picture, however many updates make it.
    return minIntervalMs === 0 && (waiting > pressedFrames || waitingBytes > defaults.fixed.writeBytes)
  }

  onFlushed (): void {
    if (this.#ageAt === Infinity) this.#watchAge()
    if (this.#isBlocked) this.#stall()
    else this.#unstall()
  }

  /** Sees to it that what was written does not grow too old, whether or not anything else happens. */
  #watchAge (): void {
    this.#ageAt = this.#nextAge(0)
    this.scope.runtime.deadlines.set(this, this.#ageAt)
  }

  #nextAge (notBefore: number): number {
    const { replayAgeMs } = this.scope.limits
    const oldest = replayAgeMs === 0 ? null : this.outbox.oldestWrittenAt
    return oldest === null ? Infinity : Math.max(oldest + replayAgeMs, notBefore)
  }

  onGone (reason: DisconnectReason): void {
    const now = performance.now()
    this.#loseStream(reason, now)
    if (this.isOpen) {
      this.#setDeadline(now)
      this.scope.detached(this)
    }
    this.#streamGone?.()
  }

  onFault (command: Command, error: unknown): void {
    this.#reportFault(error, command.name)
  }

  #reportFault (error: unknown, name: string): void {
    this.counters.add('handlerErrors')
    this.scope.report(this, error, name)
  }

  onPending (command: Command): void {
    const { handlerTimeoutMs } = this.scope.limits
    if (command.timed && handlerTimeoutMs > 0) this.scope.runtime.deadlines.set(this, command.startedAt + handlerTimeoutMs)
  }

  due (now: number): void {
    if (this.#phase === 'closed') return
    if (now >= this.#ageAt) {
      this.outbox.trim(now)
      // Of a stream that is never quiet the oldest is always about to expire; its writes look as well.
      this.#ageAt = this.#nextAge(now + this.scope.limits.replayAgeMs / ageLooks)
    }
    this.#checkHandler(now)
    if (this.isOpen) {
      const { limits } = this.scope
      if (this.#phase === 'pending') {
        if (now - this.#createdAt >= this.scope.pendingMs) {
          this.#leavePool()
          this.beginClose('reconnect-timeout', true)
        }
      } else if (now >= this.#leaveAt) this.beginClose('left', true)
      else if (limits.maxLifetimeMs > 0 && now - this.#createdAt >= limits.maxLifetimeMs) this.beginClose('lifetime', true)
      else if (this.#phase === 'open' && this.#stream === null) {
        if (now - this.#detachedAt >= limits.reconnectMs) this.beginClose('reconnect-timeout', true)
        else if (limits.idleMs > 0 && now - Math.max(this.#detachedAt, this.#lastEventAt) >= limits.idleMs) this.beginClose('idle', true)
      }
    } else if (now >= this.#closeBy && this.#isBlocked) this.#stream?.destroy('closed')
    if (this.heapIndex === -1) this.#setDeadline(now)
  }

  // Its own business

  get #isBlocked (): boolean {
    const stream = this.#stream
    return stream !== null && !stream.writable && this.outbox.waiting >= stream.writeBuffer
  }

  /** It is not to be claimed any more: it has a stream, or its time is over. */
  #leavePool (): void {
    if (!this.#isPooled) return
    this.#isPooled = false
    this.scope.unpooled(this)
  }

  #stall (): void {
    if (this.#stalledSince !== 0) return
    this.#stalledSince = performance.now()
    this.counters.add('stalls')
  }

  #unstall (): void {
    if (this.#stalledSince !== 0) {
      const now = performance.now()
      const stalledMs = now - this.#stalledSince
      const command = this.#channel.current
      // A handler that waits for a slow reader is not stuck: the stall deadline bounds that wait.
      if (command !== null && command.startedAt > 0) command.startedAt += now - Math.max(this.#stalledSince, command.startedAt)
      this.#stalledSince = 0
      if (command !== null) this.#setDeadline(now)
      this.counters.add('stalledMs', stalledMs)
    }
    this.#gate.open(true)
    this.#channel.resume()
  }

  /** Closes an older stream. If its client reconnects, it learns that a newer stream replaced it. */
  #takeOver (now: number): void {
    const old = this.#stream
    if (old === null) return
    this.#replace(old)
    this.#loseStream('replaced', now)
  }

  /** Closes a stream whose place a newer one has. */
  #replace (stream: Stream): void {
    stream.detach()
    const goodbye = goodbyeFrame({ reason: 'replaced', reconnect: false }, { id: `${this.id}.${takenMark}` })
    stream.close(goodbye, this.scope.runtime.limits.shutdownMs, 'replaced', closeCodes.replaced)
  }

  #loseStream (reason: DisconnectReason, now: number): void {
    this.#stream = null
    this.#detachedAt = now
    this.outbox.detach(now)
    if (this.#ageAt === Infinity) this.#watchAge()
    this.queueHook('onDisconnect', reason, this.scope.context)
    if (this.#isBeyondReach) this.#gate.open(false)
    this.#unstall()
  }

  /** Whether nothing that is sent from now on can reach a client: a session that is being closed gets no other stream. */
  get #isBeyondReach (): boolean {
    return this.#phase === 'closed' || this.#isOver || (this.#phase === 'closing' && this.#stream === null)
  }

  /** How long a closing session waits for its reader, who may be allowed to stall for ever otherwise. */
  #patienceMs (stream: Stream): number {
    return stream.stallTimeoutMs || defaults.upgrade.stallTimeoutMs
  }

  #checkHandler (now: number): void {
    const command = this.#channel.current
    const { handlerTimeoutMs } = this.scope.limits
    if (command === null || !command.timed || handlerTimeoutMs === 0 || this.#stalledSince !== 0) return
    if (now - command.startedAt >= handlerTimeoutMs) this.#channel.abandon(new HandlerTimeoutError(command.name, handlerTimeoutMs))
  }

  #setDeadline (now: number): void {
    const { limits, pendingMs, runtime } = this.scope
    let at = Math.min(this.#leaveAt, this.#ageAt)
    if (this.#phase === 'pending') at = this.#createdAt + pendingMs
    else if (this.#phase === 'open') {
      if (limits.maxLifetimeMs > 0) at = Math.min(at, this.#createdAt + limits.maxLifetimeMs)
      if (this.#stream === null) {
        at = Math.min(at, this.#detachedAt + limits.reconnectMs)
        if (limits.idleMs > 0) at = Math.min(at, Math.max(this.#detachedAt, this.#lastEventAt) + limits.idleMs)
      }
    } else if (this.#phase === 'closing' && this.#stream !== null) at = Math.max(this.#closeBy, now + this.#patienceMs(this.#stream) / 4)
    const command = this.#channel.current
    if (command?.timed === true && limits.handlerTimeoutMs > 0 && command.startedAt > 0 && this.#stalledSince === 0) at = Math.min(at, command.startedAt + limits.handlerTimeoutMs)
    if (at !== Infinity) runtime.deadlines.set(this, Math.max(at, now + 1))
  }

  /** The last command but the hooks': ends the stream, then lets the hooks run. */
  async #finish (retryMs: number | undefined): Promise<void> {
    const stream = this.#stream
    this.#isOver = true
    if (stream !== null) {
      const gone = new Promise<void>((resolve) => { this.#streamGone = resolve })
      const reason = this.#closeReason
      const closeCode = reason === 'draining' || reason === 'shutdown' ? closeCodes.goingAway : closeCodes.normal
      stream.close(goodbyeFrame({ reason, reconnect: this.#closeReconnect }, { retryMs }), this.#patienceMs(stream), 'closed', closeCode)
      await gone
    }
    const { hooks, context } = this.scope
    if (!this.#everConnected) return this.#conclude()
    this.#pushHook('onClose', hooks.onClose, [this.#closeReason, context], () => this.#conclude())
  }

  #conclude (): void {
    if (this.#phase === 'closed') return
    this.#phase = 'closed'
    for (const command of this.#channel.clear()) command.onSettled?.({ error: new SessionClosedError() })
    this.#abort?.abort(this.#closeReason)
    this.outbox.clear()
    this.scope.runtime.deadlines.remove(this)
    this.#leavePool()
    this.scope.closed(this)
    this.#gate.open(false)
    this.#settleClosed?.()
  }
}
