import { closeCodes } from '../../schemas/close-code.ts'
import { defaults } from '../../schemas/defaults.ts'
import type { Limits } from '../../schemas/limits.ts'
import type { Carrier } from '../carriers/carrier.ts'
import type { ByteBudget } from '../delivery/byte-budget.ts'
import type { Cohort, CohortMember } from '../delivery/cohort.ts'
import type { Flushable } from '../delivery/flushable.ts'
import type { Holder } from '../delivery/holder.ts'
import { Outbox, type OutboxSnapshot, type ReplayLimits } from '../delivery/outbox.ts'
import { SendGate } from '../delivery/send-gate.ts'
import { isPressed, type PressureLimits } from '../delivery/write-pressure.ts'
import type { Counters } from '../metrics/counters.ts'
import type { Frame } from '../protocol/frame.ts'
import type { DisconnectReason, Stream, StreamReader } from '../streams/stream.ts'

/** The age of the replay log is checked at most this often within `replayAgeMs`. */
const ageChecks = 8

export interface FeedLimits extends ReplayLimits, PressureLimits {
  readonly onOverflow: 'disconnect' | 'dropOldest'
}

/** What a feed shares with the feeds of other sessions. */
export interface FeedRuntime {
  readonly limits: Pick<Limits, 'sendsPerTurn' | 'shutdownMs' | 'writeBytes'>
  readonly budget: ByteBudget
  readonly scheduler: { schedule: (stream: Flushable) => void }
}

/** The session of a feed. */
export interface FeedOwner extends CohortMember {
  /** Names the session in logs. */
  readonly shortId: string
  /** False once the session closes: then it gets no other stream. */
  readonly isOpen: boolean
  /** {@link SessionFeed.trimAt} was set. */
  onTrimDue: () => void
  /** A stall that began at `since` is over. */
  onStallOver: (since: number, now: number) => void
  /** The write buffer has room. Called often. */
  onRoom: () => void
  /** The stream has taken everything. Called often. */
  onCaughtUp: () => void
  /** The stream is gone. Not called by {@link SessionFeed.replace}. */
  onStreamGone: (reason: DisconnectReason, now: number) => void
}

/** A feed as JSON. The stream is not part of it: its client continues by number, wherever it reconnects. */
export interface FeedSnapshot {
  readonly outbox: OutboxSnapshot
}

/** The way down: the updates of one session, and the stream that carries them. */
export class SessionFeed implements StreamReader, Holder {
  readonly outbox: Outbox
  readonly counters: Counters
  readonly #owner: FeedOwner
  readonly #limits: FeedLimits
  readonly #runtime: FeedRuntime
  readonly #gate: SendGate
  #stream: Stream | null = null
  #idPrefix: string | null = null
  #stalledSince = 0
  #trimAt = Infinity
  /** Whether it takes no more frames. */
  #isOver = false
  #settleClosed: (() => void) | null = null

  constructor (owner: FeedOwner, limits: FeedLimits, runtime: FeedRuntime, counters: Counters) {
    this.#owner = owner
    this.#limits = limits
    this.#runtime = runtime
    this.counters = counters
    this.outbox = new Outbox(limits, runtime.budget)
    this.#gate = new SendGate(runtime.limits)
  }

  /** Null while there is none. */
  get stream (): Stream | null { return this.#stream }
  /** Whether the write buffer is full, so that the session's loop stands still. */
  get isBlocked (): boolean {
    const stream = this.#stream
    return stream !== null && !stream.writable && this.outbox.waiting >= stream.writeBuffer
  }

  get hasRoom (): boolean { return !this.isBlocked }
  get isStalled (): boolean { return this.#stalledSince !== 0 }
  /** Duration of the present stall; 0 for no stall. */
  stallMs (now: number): number {
    return this.#stalledSince === 0 ? 0 : now - this.#stalledSince
  }

  /** When {@link trim} is due; Infinity if nothing can expire. */
  get trimAt (): number { return this.#trimAt }
  /** How long a closing session waits for its client. A stream without a stall deadline gets the default one. */
  get patienceMs (): number {
    return this.#stream === null ? 0 : this.#stream.stallTimeoutMs || defaults.upgrade.stallTimeoutMs
  }

  // Sending

  /** @returns as `session.send` does */
  send (frame: Frame): Promise<boolean> {
    if (this.#isBeyondReach) return SendGate.refused
    this.leaveStep()
    this.append(frame)
    this.scheduleAppended()
    return this.isBlocked ? this.#gate.wait() : this.#gate.grant()
  }

  /** Number of texts that wait behind updates; see {@link sendBehind}. */
  get waitingControls (): number { return this.#stream?.waitingControls ?? 0 }

  /** Sends library text behind all updates that wait now. Without a stream, drops it. */
  sendBehind (text: string): void {
    const stream = this.#stream
    if (stream === null || this.#isOver) return
    // While updates wait in a cohort's log, only its own outbox has numbers for them.
    const cohort = this.#cohort
    if (cohort !== null && cohort.waitingOf(this.#owner).frames > 0) this.leaveStep()
    stream.controlBehind(text, this.outbox.next)
  }

  /** Queues a frame; checks no limit and writes nothing. */
  append (frame: Frame): void {
    if (this.#isOver || !this.outbox.append(frame)) return
    this.counters.add('conflated')
  }

  /** Writes the appended frames at once, as far as the stream takes them. */
  writeAppended (now: number): void {
    if (this.#isOver) return
    this.counters.raiseHighWater(this.outbox.waiting)
    const stream = this.#stream
    if (stream !== null && stream.writable) stream.flush(now)
    this.#keepLimits()
  }

  /** Has the appended frames written at the end of this turn of the event loop, or at once if too many wait. */
  scheduleAppended (): void {
    if (this.#isOver) return
    this.counters.raiseHighWater(this.outbox.waiting)
    const stream = this.#stream
    if (stream !== null && stream.writable) {
      if (this.isPressed) stream.flush(performance.now())
      else this.#runtime.scheduler.schedule(stream)
    }
    this.#keepLimits()
  }

  #keepLimits (): void {
    const { outbox } = this
    const { queueFrames, queueBytes, onOverflow } = this.#limits
    if (outbox.waiting > 1 && (outbox.waiting > queueFrames || outbox.waitingBytes > queueBytes)) {
      if (onOverflow === 'disconnect') this.#disconnectOverflowing()
      this.#countDropped(outbox.dropOldest(queueFrames, queueBytes))
    }
    const { budget } = this.#runtime
    if (budget.isExceeded) budget.onExceeded()
    if (this.#stalledSince === 0 && this.isBlocked) this.#stall()
  }

  #disconnectOverflowing (): void {
    if (this.#stream === null) return
    this.counters.add('overflowDisconnects')
    this.#stream.destroy('overflow')
  }

  #countDropped (dropped: number): void {
    this.counters.add('dropped', dropped)
    if (dropped > 0 && this.#stream !== null) this.#runtime.scheduler.schedule(this.#stream)
  }

  /**
   * Notes that updates were lost, behind all that the stream takes at once. What still waits is lost with them: a
   * gap covers all before it.
   */
  lose (): void {
    if (this.#isOver) return
    this.leaveStep()
    this.#flushNow()
    this.counters.add('dropped', this.outbox.lose())
    if (this.#stream !== null) this.#runtime.scheduler.schedule(this.#stream)
  }

  /** Whether nothing sent from now on can reach a client. */
  get #isBeyondReach (): boolean {
    return this.#isOver || (this.#stream === null && !this.#owner.isOpen)
  }

  // Memory

  get heldWeight (): number {
    return this.outbox.share + (this.#stream?.heldWeight ?? 0) + (this.#cohort?.shareOfOne ?? 0)
  }

  /** Brings its share of the budget down to `weight`. Updates that still wait then count as an overflow. */
  shed (weight: number): void {
    const cohort = this.#cohort
    if (cohort !== null) {
      this.outbox.forgetTo(weight - cohort.shareOfOne)
      if (this.heldWeight > weight) cohort.shed(weight)
      if (this.heldWeight <= weight) return
      this.leaveStep()
    }
    this.#flushNow()
    this.outbox.forgetTo(weight - (this.#stream?.heldWeight ?? 0))
    if (this.heldWeight <= weight) return
    if (this.#limits.onOverflow === 'disconnect') this.#disconnectOverflowing()
    this.#countDropped(this.outbox.dropTo(weight - (this.#stream?.heldWeight ?? 0)))
    // A stream lets go of a batch that it has begun to write only at its own end.
    if (this.heldWeight > weight) this.#disconnectOverflowing()
  }

  letGo (frame: Frame): void {
    if (this.#cohort?.letGo(frame) === true) this.leaveStep()
    if (this.outbox.numberOf(frame) === 0) return
    this.#flushNow()
    this.outbox.acknowledge(this.outbox.numberOf(frame))
    if (this.outbox.numberOf(frame) === 0) return
    if (this.#limits.onOverflow === 'disconnect') this.#disconnectOverflowing()
    this.#countDropped(this.outbox.dropThrough(this.outbox.numberOf(frame)))
  }

  /** A frame that the stream takes at once need not be dropped. */
  #flushNow (): void {
    const stream = this.#stream
    if (stream !== null && stream.writable && this.outbox.hasUnwritten) stream.flush(performance.now())
  }

  /** Forgets written frames that are older than `replayAgeMs`. */
  trim (now: number): void {
    this.outbox.trim(now)
    // On a busy stream the oldest frame is always about to expire. Its writes trim, too.
    this.#trimAt = this.#nextTrim(now + this.#limits.replayAgeMs / ageChecks)
  }

  /** Frames expire whether or not anything else happens. */
  #watchAge (): void {
    this.#trimAt = this.#nextTrim(0)
    if (this.#trimAt !== Infinity) this.#owner.onTrimDue()
  }

  #nextTrim (notBefore: number): number {
    const { replayAgeMs } = this.#limits
    const oldest = replayAgeMs === 0 ? null : this.outbox.oldestWrittenAt
    return oldest === null ? Infinity : Math.max(oldest + replayAgeMs, notBefore)
  }

  // The stream

  /**
   * Sets where the next stream begins: behind `seq`, if every later frame is held.
   *
   * @returns the number behind which it begins
   */
  resume (seq: number, now: number): number {
    return this.outbox.resume(seq, now)
  }

  /**
   * Gives the frames to a stream. Call {@link resume} before.
   *
   * @param opening text that goes before the frames
   * @param idPrefix begins each `id:` line; null for a client that counts
   */
  attach (stream: Stream, opening: string, idPrefix: string | null): void {
    this.#stream = stream
    this.#idPrefix = idPrefix
    stream.attach(this, opening)
  }

  /** Takes the frames from the present stream, and closes it. */
  replace (goodbye: string, now: number): void {
    if (this.#stream !== null) this.closeReplaced(this.#stream, goodbye)
    this.#detach(now)
  }

  /** Closes a stream whose place a newer one has. */
  closeReplaced (stream: Stream, goodbye: string): void {
    stream.detach()
    stream.close(goodbye, this.#runtime.limits.shutdownMs, 'replaced', closeCodes.replaced)
  }

  #detach (now: number): void {
    this.leaveStep()
    this.#stream = null
    this.outbox.detach(now)
    if (this.#trimAt === Infinity) this.#watchAge()
    if (this.#isBeyondReach) this.#gate.open(false)
    this.#unstall()
  }

  // In step with others

  /** Its cohort while it is in step; null otherwise. */
  get #cohort (): Cohort | null {
    return this.#owner.isInStep ? this.#owner.cohort : null
  }

  /** Most bytes of one write for a stream that may share its writes; 0 for others. */
  get pieceBytes (): number {
    const stream = this.#stream
    if (stream === null || this.paceMs > 0) return 0
    // Ids stand between the frames, so such a carrier makes pieces for each client.
    return this.#idPrefix !== null && stream.splices ? 0 : stream.pieceBytes
  }

  /** @see {@link CohortMember.idleCarrier} */
  get idleCarrier (): Carrier | null {
    return this.pieceBytes === 0 || this.#isOver || this.outbox.hasUnwritten ? null : this.#stream!.idleCarrier
  }

  leaveStep (): void {
    this.#owner.leaveStep()
  }

  onControl (): void {
    this.#cohort?.onControl(this.#owner)
  }

  onLeftStep (wroteAt: number): void {
    this.#stream?.noteWrite(wroteAt)
    if (this.#trimAt === Infinity) this.#watchAge()
  }

  onFull (): void {
    if (this.#stream === null) return
    this.#stream.filled()
    this.onFlushed()
  }

  get lastWritten (): number {
    return (this.#cohort?.cursorOf(this.#owner) ?? this.outbox.cursor) - 1
  }

  get sharedWriteAt (): number {
    return this.#cohort?.wroteAt(this.#owner) ?? 0
  }

  // Called by the stream

  get shortId (): string { return this.#owner.shortId }
  get idPrefix (): string | null { return this.#idPrefix }
  get counted (): boolean { return this.#idPrefix === null }
  get paceMs (): number { return this.#limits.minIntervalMs }

  get isPressed (): boolean {
    return isPressed(this.outbox, this.#limits, this.#runtime.limits.writeBytes)
  }

  onFlushed (): void {
    if (this.#trimAt === Infinity) this.#watchAge()
    if (this.isBlocked) {
      this.#stall()
      return
    }
    this.#unstall()
    if (!this.outbox.hasUnwritten) this.#owner.onCaughtUp()
  }

  onGone (reason: DisconnectReason): void {
    const now = performance.now()
    this.#detach(now)
    this.#owner.onStreamGone(reason, now)
    this.#settleClosed?.()
  }

  #stall (): void {
    if (this.#stalledSince !== 0) return
    this.#stalledSince = performance.now()
    this.counters.add('stalls')
  }

  #unstall (): void {
    const since = this.#stalledSince
    if (since !== 0) {
      const now = performance.now()
      this.#stalledSince = 0
      this.counters.add('stalledMs', now - since)
      this.#owner.onStallOver(since, now)
    }
    this.#gate.open(true)
    this.#owner.onRoom()
  }

  // Its end

  /**
   * Takes no more frames; the stream ends once it has written what waits, then `goodbye`.
   *
   * @returns a promise for the end of the stream; null if there is no stream
   */
  close (goodbye: string, closeCode: number): Promise<void> | null {
    this.#isOver = true
    const stream = this.#stream
    if (stream === null) return null
    this.leaveStep()
    const closed = new Promise<void>((resolve) => { this.#settleClosed = resolve })
    stream.close(goodbye, this.patienceMs, 'closed', closeCode)
    return closed
  }

  /** Cuts the stream and drops all frames. */
  destroy (): void {
    this.#isOver = true
    this.#stream?.destroy('closed')
    this.outbox.clear()
    this.#trimAt = Infinity
    this.#gate.open(false)
  }

  // Moving

  /** The frames and their numbers at the time `now`. */
  snapshot (now: number): FeedSnapshot {
    this.leaveStep()
    return { outbox: this.outbox.snapshot(now) }
  }

  /** Continues where the feed of a snapshot was, as if that had lost its stream. For a feed without a stream. */
  restore (snapshot: FeedSnapshot, now: number): void {
    this.outbox.restore(snapshot.outbox, now)
    // The replay ended with the stream.
    if (this.outbox.replaying) this.outbox.detach(now)
    this.#watchAge()
  }
}
