import type { TimeSource } from '../../schemas/time-source.ts'
import type { Carrier } from '../carriers/carrier.ts'
import type { EncodedBatch } from '../carriers/encoded-batch.ts'
import { idBytesBetween, idFieldBytes, NumberedBatch } from '../carriers/numbered-batch.ts'
import type { Counters } from '../metrics/counters.ts'
import type { Frame } from '../protocol/frame.ts'
import type { Audience } from './audience.ts'
import type { BroadcastMember } from './broadcast-member.ts'
import type { ByteBudget } from './byte-budget.ts'
import type { Deadline, DeadlineQueue } from './deadline-queue.ts'
import type { Flushable } from './flushable.ts'
import type { FrameBatches } from './frame-batches.ts'
import { Outbox, type ReplayLimits } from './outbox.ts'
import { StepFigures, type RoundTotals } from './step-figures.ts'
import { isPressed, type PressureLimits } from './write-pressure.ts'

/** The age of the log is checked at most this often within `replayAgeMs`. */
const ageChecks = 8

/** Most digits of a number that a line is measured for before the number is known. */
const idDigits = 10

/** A session, as its cohort sees it. */
export interface CohortMember extends BroadcastMember {
  readonly outbox: Outbox
  readonly counters: Counters
  /** Begins each `id:` line; null for a client that counts. All members of a cohort are of one kind. */
  readonly idPrefix: string | null
  /** Its carrier, if nothing of its own waits to be written; null otherwise. */
  readonly idleCarrier: Carrier | null
  cohort: Cohort | null
  /** Its place among those in step; -1 while it is out of step. Kept by the cohort. */
  place: number
  /** Its carrier has taken the last write, and is full. */
  onFull: () => void
  /** It is out of step. The cohort's last write to it was at `wroteAt`. */
  onLeftStep: (wroteAt: number) => void
}

/** What the cohorts of one endpoint share. */
export interface CohortScope {
  readonly limits: ReplayLimits & PressureLimits
  readonly writeBytes: number
  readonly budget: ByteBudget
  readonly batches: FrameBatches
  readonly time: TimeSource
  readonly deadlines: Pick<DeadlineQueue, 'set' | 'remove'>
  readonly totals: Counters
  readonly scheduler: { schedule: (stream: Flushable) => void }
  readonly broadcasts: {
    catchUp: (member: BroadcastMember) => void
    catchUpCohort: (cohort: Cohort) => void
  }
}

/**
 * Sessions with the same audiences. A member is *in step* while its stream is writable and only broadcasts wait for it.
 * The members in step share one log. A round writes its next frames to each of them, with one write.
 *
 * ```
 *  log.first            round starts      round ends          log.next
 *     │     written        │   this round    │     waiting        │
 *                          │                 └ members before `#next`: the round has written to them
 *                          └ members from `#next` on
 * ```
 *
 * An outbox keeps what its session was sent before it came into step. When the session leaves the step, the outbox
 * adopts its part of the log, and goes on alone.
 */
export class Cohort implements Flushable, Deadline {
  /** What a session must have in common with the members. */
  readonly audiences: ReadonlyArray<Audience<CohortMember>>
  readonly pieceBytes: number
  readonly isCounted: boolean
  scheduled = false
  dueAt = 0
  heapIndex = -1
  deliveredUpTo = 0
  readonly #scope: CohortScope
  readonly #log: Outbox
  readonly #outOfStep = new Set<CohortMember>()
  /** Members that come into step after the present round. */
  readonly #comers = new Set<CohortMember>()
  /** Members whose stream has text of its own, which goes before the next round. */
  readonly #speakers = new Set<CohortMember>()
  // Those in step. A round reads these arrays and the carriers, and nothing else of a member.
  readonly #members: CohortMember[] = []
  readonly #carriers: Carrier[] = []
  readonly #prefixes: string[] = []
  /** Add it to a number in the log to get the member's own number. */
  readonly #offsets: number[] = []
  /** Number in the log of the member's first frame; 0 if all frames of the log are its own, and its outbox is empty. */
  readonly #keptFrom: number[] = []
  readonly #figures = new StepFigures()
  #rounds = 0
  #bytes = 0
  #conflated = 0
  #batch: EncodedBatch | null = null
  #texts: readonly string[] = []
  /** The frames of a round with ids; null where its members count. */
  #numbered: NumberedBatch | null = null
  #start = 0
  /** Bytes of the frames of the round, without ids. */
  #roundBytes = 0
  /** Place of the next member of the present round. */
  #next = 0
  #wroteAt = 0
  #wroteBefore = 0
  #isFlushing = false

  constructor (audiences: ReadonlyArray<Audience<CohortMember>>, pieceBytes: number, isCounted: boolean, scope: CohortScope) {
    this.audiences = audiences
    this.pieceBytes = pieceBytes
    this.isCounted = isCounted
    this.#scope = scope
    this.#log = new Outbox(scope.limits, scope.budget)
  }

  get size (): number { return this.#members.length + this.#outOfStep.size }
  get outOfStep (): ReadonlySet<BroadcastMember> { return this.#outOfStep }
  /** Whether no member is in step. */
  get isOutOfStep (): boolean { return this.#members.length === 0 }
  hasInStep (member: BroadcastMember): boolean {
    return member.isInStep && (member as CohortMember).cohort === this
  }

  // Its members

  add (member: CohortMember): void {
    member.cohort = this
    this.#outOfStep.add(member)
  }

  delete (member: CohortMember): void {
    this.leave(member)
    this.#outOfStep.delete(member)
    this.#comers.delete(member)
    member.cohort = null
  }

  /** Takes a member into step, now or after the present round. */
  join (member: CohortMember): void {
    const { broadcasts } = this.#scope
    broadcasts.catchUpCohort(this)
    broadcasts.catchUp(member)
    if (this.#batch !== null || this.#log.waiting > 0) {
      this.#comers.add(member)
      return
    }
    const { idleCarrier: carrier, outbox } = member
    if (carrier === null || member.isInStep) return
    this.#outOfStep.delete(member)
    member.place = this.#members.push(member) - 1
    this.#carriers.push(carrier)
    if (member.idPrefix !== null) this.#prefixes.push(member.idPrefix)
    this.#offsets.push(outbox.next - this.#log.next)
    this.#keptFrom.push(this.#log.next)
    this.#figures.push(this.#totals(true))
  }

  /** Takes a member out of step. Its outbox then has its own part of the log; what was not written yet waits there. */
  leave (member: CohortMember): void {
    const { place } = member
    if (place === -1) return
    const log = this.#log
    this.settle(member)
    member.outbox.adopt(log, this.#keptFrom[place]!, this.#positionOf(place), this.#offsets[place]!, this.#scope.time.now())
    member.deliveredUpTo = this.deliveredUpTo
    const wroteAt = this.wroteAt(member)
    member.place = -1
    this.#outOfStep.add(member)
    this.#speakers.delete(member)
    if (this.#batch !== null && place < this.#next) {
      this.#move(this.#next - 1, place)
      this.#move(this.#members.length - 1, --this.#next)
    } else this.#move(this.#members.length - 1, place)
    this.#pop()
    member.onLeftStep(wroteAt)
  }

  #move (from: number, to: number): void {
    if (from === to) return
    const member = this.#members[from]!
    member.place = to
    this.#members[to] = member
    this.#carriers[to] = this.#carriers[from]!
    if (!this.isCounted) this.#prefixes[to] = this.#prefixes[from]!
    this.#offsets[to] = this.#offsets[from]!
    this.#keptFrom[to] = this.#keptFrom[from]!
    this.#figures.move(from, to)
  }

  #pop (): void {
    this.#members.pop()
    this.#carriers.pop()
    this.#prefixes.pop()
    this.#offsets.pop()
    this.#keptFrom.pop()
    this.#figures.pop()
    if (this.#members.length > 0) return
    this.#batch = null
    this.#log.clear()
    this.#scope.deadlines.remove(this)
  }

  // Broadcasts

  /** Appends a frame for those in step. */
  append (frame: Frame): void {
    if (!this.#log.append(frame)) return
    this.#conflated++
    this.#scope.totals.add('conflated', this.#members.length)
    this.#scope.totals.tally?.add(frame.text, 'conflated', this.#members.length)
  }

  /** Has the appended frames written at the end of this turn of the event loop. If too many wait, writes them at once, until the time `until`. */
  scheduleAppended (now: number, until: number): void {
    const { limits, writeBytes, totals, scheduler, budget } = this.#scope
    const { waiting } = this.#log
    this.#figures.note(this.#rounds + 1, waiting)
    totals.raiseHighWater(waiting)
    if (!isPressed(this.#log, limits, writeBytes) || !this.flush(now, until)) scheduler.schedule(this)
    if (budget.isExceeded) budget.onExceeded()
  }

  flush (now: number, until: number): boolean {
    // A write may end a session, and a listener for that end may broadcast.
    if (this.#isFlushing) return true
    this.#isFlushing = true
    try {
      while (this.#batch !== null || this.#hasNext(now)) {
        if (this.#batch === null && !this.#begin(now)) {
          if (!this.#goAlone(now, until)) return false
          continue
        }
        if (!this.#write(until)) return false
        this.#end(now)
      }
    } finally {
      this.#isFlushing = false
    }
    if (this.#comers.size > 0) this.#takeComers()
    return true
  }

  /** The stream of a member in step has text of its own, which goes before the next round. */
  onControl (member: CohortMember): void {
    if (this.waitingOf(member).frames > 0) this.leave(member)
    else this.#speakers.add(member)
  }

  /** One write of the member's stream takes the text and the updates. */
  #dismissSpeakers (now: number): void {
    for (const member of this.#speakers) {
      if (member.idleCarrier !== null) continue
      member.leaveStep()
      member.writeAppended(now)
    }
    this.#speakers.clear()
  }

  #takeComers (): void {
    const comers = [...this.#comers]
    this.#comers.clear()
    for (const member of comers) this.join(member)
  }

  #hasNext (now: number): boolean {
    if (this.#log.waiting > 0 && this.#speakers.size > 0) this.#dismissSpeakers(now)
    // The last member may have left.
    return this.#log.waiting > 0
  }

  /** Begins a round with as many frames as one write takes. Returns false if one write cannot take the next frame. */
  #begin (now: number): boolean {
    const log = this.#log
    const start = log.cursor
    const idBytes = this.isCounted ? 0 : this.#prefixes[0]!.length + idFieldBytes + idDigits
    const end = log.batchEnd(this.pieceBytes, idBytes)
    const bytes = log.bytesBetween(start, end)
    if (bytes + (end - start) * idBytes > this.pieceBytes) return false
    this.#roundBytes = bytes
    this.#batch = this.#scope.batches.of(log, start, end)
    if (!this.isCounted || this.#scope.totals.tally !== null) this.#texts = log.texts(start, end)
    this.#numbered = this.isCounted ? null : new NumberedBatch(this.#texts)
    this.#start = start
    this.#next = 0
    log.markWritten(end, now)
    this.#wroteBefore = this.#wroteAt
    this.#wroteAt = now
    this.#rounds++
    return true
  }

  /**
   * Takes the members out of step, and writes to each of them, until the time `until`: a frame that is larger than one
   * write goes out in parts, to each member at its own speed. Returns whether it has written to all.
   */
  #goAlone (now: number, until: number): boolean {
    // The last member takes what waits with it, and may come back into step at once.
    for (let count = 1; this.#log.waiting > 0; count++) {
      const member = this.#members[0]!
      this.leave(member)
      member.writeAppended(now)
      if ((count & 15) === 0 && this.#scope.time.now() > until) return this.#log.waiting === 0
    }
    return true
  }

  /** Writes the round to its members, until the time `until`. Returns whether it has written to all. */
  #write (until: number): boolean {
    const batch = this.#batch!
    const members = this.#members
    const carriers = this.#carriers
    const keptFrom = this.#keptFrom
    const { first } = this.#log
    const { totals } = this.#scope
    const frames = this.#log.cursor - this.#start
    const bytes = this.#roundBytes
    const numbered = this.#numbered
    let count = 0
    let more = 0
    // The last member may leave meanwhile, which ends the round.
    while (this.#batch === batch && this.#next < members.length) {
      const place = this.#next++
      const member = members[place]!
      let hasRoom
      const carrier = carriers[place]!
      if (numbered === null) hasRoom = carrier.writeBatch(batch)
      else {
        const prefix = this.#prefixes[place]!
        const number = this.#offsets[place]! + this.#start
        const idBytes = idBytesBetween(prefix, number, number + frames)
        more += idBytes
        hasRoom = carrier.writeNumbered === undefined
          ? carrier.writeText(numbered.textFor(prefix, number), bytes + idBytes)
          : carrier.writeNumbered(numbered, prefix, number, bytes + idBytes)
      }
      count++
      // A carrier may also report within the write that it is full, or has ended: then a member has left. Most do not, so
      // the member itself, which would have to be fetched from memory, is not looked at.
      if (!hasRoom || (this.#next !== place + 1 && !member.isInStep)) {
        member.onFull()
        member.scheduleAppended()
      } else if (keptFrom[place]! < first && keptFrom[place] !== 0 && member.place === place) this.#forgetEarlier(place)
      if ((count & 15) === 0 && this.#scope.time.now() > until) break
    }
    totals.addWrites(count, count * frames, count * bytes + more)
    if (totals.tally !== null) for (const text of this.#texts) totals.tally.add(text, 'written', count)
    return this.#batch !== batch || this.#next >= members.length
  }

  #end (now: number): void {
    if (this.#batch !== null) this.#bytes += this.#roundBytes
    this.#batch = null
    this.#texts = []
    this.#numbered = null
    this.#log.trim(now)
    this.#watchAge(0)
  }

  /** The log alone fills the limits, so the outbox may forget what was before. */
  #forgetEarlier (place: number): void {
    this.#members[place]!.outbox.clear()
    this.#keptFrom[place] = 0
  }

  // The age of the log

  due (now: number): void {
    if (this.#batch === null) this.#log.trim(now)
    this.#watchAge(now + this.#scope.limits.replayAgeMs / ageChecks)
  }

  #watchAge (notBefore: number): void {
    const { limits: { replayAgeMs }, deadlines } = this.#scope
    if (replayAgeMs === 0 || this.heapIndex !== -1) return
    const oldest = this.#log.oldestWrittenAt
    if (oldest !== null) deadlines.set(this, Math.max(oldest + replayAgeMs, notBefore))
  }

  // What is known of a member in step

  /** Number in the log of the next frame for a member. */
  #positionOf (place: number): number {
    return this.#isLate(place) ? this.#start : this.#log.cursor
  }

  /** Whether the present round has yet to write to a member. */
  #isLate (place: number): boolean {
    return this.#batch !== null && place >= this.#next
  }

  /** The member's own number of the next frame that is written to it. */
  cursorOf ({ place }: CohortMember): number {
    return this.#positionOf(place) + this.#offsets[place]!
  }

  /** Time of the last write to a member that was in step then. */
  wroteAt ({ place }: CohortMember): number {
    return this.#isLate(place) ? this.#wroteBefore : this.#wroteAt
  }

  /** Brings a member's counters up to date. */
  settle ({ place, counters, idPrefix }: CohortMember): void {
    const offset = this.#offsets[place]!
    this.#figures.settle(place, this.#totals(!this.#isLate(place)), counters,
      (from, to) => idPrefix === null ? 0 : idBytesBetween(idPrefix, from + offset, to + offset))
  }

  /** @param isCurrent whether the present round counts */
  #totals (isCurrent: boolean): RoundTotals {
    const batch = this.#batch
    return {
      position: isCurrent ? this.#log.cursor : this.#start,
      rounds: isCurrent ? this.#rounds : this.#rounds - 1,
      bytes: isCurrent && batch !== null ? this.#bytes + this.#roundBytes : this.#bytes,
      conflated: this.#conflated
    }
  }

  /** What waits for a member. */
  waitingOf ({ place }: CohortMember): { readonly frames: number, readonly bytes: number } {
    const position = this.#positionOf(place)
    return { frames: this.#log.next - position, bytes: this.#log.bytesBetween(position, this.#log.next) }
  }

  /** What is held for a member, written or waiting. */
  heldOf (member: CohortMember): { readonly frames: number, readonly bytes: number } {
    const log = this.#log
    const keptFrom = this.#keptFrom[member.place]!
    const from = Math.max(keptFrom, log.first)
    const frames = log.next - from
    const bytes = log.bytesBetween(from, log.next)
    // What the log forgot was younger than all in the outbox.
    if (log.first > keptFrom) return { frames, bytes }
    const position = this.#positionOf(member.place)
    const before = member.outbox.heldBefore(position - from, log.bytesBetween(from, position))
    return { frames: before.frames + frames, bytes: before.bytes + bytes }
  }

  // Memory

  /** A member's part of the log's share of the budget. */
  get shareOfOne (): number {
    return this.#log.share / this.#members.length
  }

  /** Forgets written frames until a member's part is at most `weight`. */
  shed (weight: number): void {
    if (this.#batch === null) this.#log.forgetTo(weight * this.#members.length)
  }

  /** Forgets a written frame, and all before it. Returns whether the log still holds the frame. */
  letGo (frame: Frame): boolean {
    if (this.#batch === null) this.#log.acknowledge(this.#log.numberOf(frame))
    return this.#log.numberOf(frame) !== 0
  }

  /** A member has all updates up to its own `number`. */
  acknowledge (member: CohortMember, number: number): void {
    const { place, outbox } = member
    outbox.acknowledge(number)
    const after = number - this.#offsets[place]! + 1
    if (after <= this.#keptFrom[place]!) return
    this.#keptFrom[place] = Math.min(after, this.#positionOf(place))
  }
}
