import { defaults } from '../../schemas/defaults.ts'
import type { Limits } from '../../schemas/limits.ts'
import { systemTime, type TimeSource } from '../../schemas/time-source.ts'
import type { Frame } from '../protocol/frame.ts'
import type { BroadcastMember, BroadcastTarget } from './broadcast-member.ts'
import type { ByteBudget } from './byte-budget.ts'
import { Cohort } from './cohort.ts'

/** The receivers of a broadcast. */
export interface Receivers {
  readonly members: ReadonlySet<BroadcastMember>
  /** The cohorts of members, and the members of none. */
  readonly targets: ReadonlySet<BroadcastTarget>
}

/** Calls `deliver` at the end of the present turn of the event loop. */
interface Scheduler {
  wake: () => void
}

interface Broadcast {
  readonly number: number
  readonly audience: Receivers
  readonly except: BroadcastMember | null
  readonly frame: Frame
}

/**
 * Broadcasts on their way to their members, in the order of the calls.
 *
 * A call costs the same for ten members as for ten thousand: the work for each member
 * follows later, in slices. Every other operation on a member calls {@link BroadcastQueue.catchUp}
 * first, so the delay is not observable.
 */
export class BroadcastQueue {
  readonly #budget: ByteBudget
  readonly #time: TimeSource
  readonly #scheduler: Scheduler
  readonly #limits: Limits
  #undelivered: Broadcast[] = []
  /** Number of broadcasts at the head of `#undelivered` that are in delivery. */
  #deliveringCount = 0
  /** The targets that still wait for these broadcasts; null between deliveries. */
  #targets: Iterator<BroadcastTarget> | null = null
  /** The members of a target that go alone, and still wait; null outside of a cohort. */
  #outOfStep: Iterator<BroadcastMember> | null = null
  #lastNumber = 0
  #bytes = 0
  #isDelivering = false

  constructor (budget: ByteBudget, scheduler: Scheduler, limits: Limits = defaults.fixed, time: TimeSource = systemTime) {
    this.#time = time
    this.#budget = budget
    this.#scheduler = scheduler
    this.#limits = limits
  }

  /** Number of the latest broadcast. A new member starts from it. */
  get lastNumber (): number { return this.#lastNumber }
  get isEmpty (): boolean { return this.#undelivered.length === 0 }

  push (audience: Receivers, except: BroadcastMember | null, frame: Frame): void {
    this.#undelivered.push({ number: ++this.#lastNumber, audience, except, frame })
    this.#budget.hold(frame)
    this.#bytes += frame.bytes
    const { broadcastFrames, broadcastBytes } = this.#limits
    if (this.#undelivered.length > broadcastFrames || this.#bytes > broadcastBytes) this.deliver(this.#time.now(), Infinity)
    else if (this.#undelivered.length === 1) this.#scheduler.wake()
  }

  /** Delivers all pending broadcasts to one member out of step. Call it before any other operation on the member. */
  catchUp (member: BroadcastMember): void {
    if (member.deliveredUpTo === this.#lastNumber || member.isInStep) return
    let hasNew = false
    for (const { number, audience, except, frame } of this.#undelivered) {
      if (number <= member.deliveredUpTo || except === member || !audience.members.has(member)) continue
      member.append(frame)
      hasNew = true
    }
    member.deliveredUpTo = this.#lastNumber
    if (hasNew) member.scheduleAppended()
  }

  /** Delivers all pending broadcasts to the members of a cohort that are in step. Call it before any other operation on one of them. */
  catchUpCohort (cohort: Cohort): void {
    if (cohort.deliveredUpTo === this.#lastNumber) return
    const now = this.#time.now()
    const broadcasts = this.#undelivered.filter(({ audience }) => audience.targets.has(cohort))
    this.#handToCohort(cohort, broadcasts, this.#lastNumber, now, now + this.#limits.flushSliceMs)
  }

  /** @param last number of the last broadcast that the cohort has then received */
  #handToCohort (cohort: Cohort, broadcasts: readonly Broadcast[], last: number, now: number, until: number): void {
    let hasNew = false
    let excluded: BroadcastMember[] | null = null
    for (const { number, except, frame } of broadcasts) {
      if (number <= cohort.deliveredUpTo) continue
      // A member that one broadcast leaves out goes alone from there on.
      if (except !== null && cohort.hasInStep(except)) {
        cohort.deliveredUpTo = number - 1
        except.leaveStep()
        excluded ??= []
        excluded.push(except)
      }
      if (cohort.isOutOfStep) continue
      cohort.append(frame)
      hasNew = true
    }
    cohort.deliveredUpTo = last
    if (hasNew) cohort.scheduleAppended(now, until)
    // Their writes may bring them back into step, so they come last.
    if (excluded !== null) for (const member of excluded) member.scheduleAppended()
  }

  /** Delivers until the time `until`, on the clock of `performance.now()`. Returns whether nothing is left. */
  deliver (now: number, until: number): boolean {
    // Serving a member may end its session. Listeners of the session's `signal` may broadcast.
    if (this.#isDelivering) return false
    this.#isDelivering = true
    try {
      return this.#deliver(now, until)
    } finally {
      this.#isDelivering = false
    }
  }

  #deliver (now: number, until: number): boolean {
    let count = 0
    while (this.#undelivered.length > 0) {
      this.#targets ??= this.#nextBatch()
      for (let target = this.#nextTarget(); target !== null; target = this.#nextTarget()) {
        if (!(target instanceof Cohort)) this.#deliverTo(target, now)
        else {
          this.#deliverToCohort(target, now, until)
          // Under pressure it has written to many members.
          count |= 15
        }
        if ((++count & 15) === 0 && this.#time.now() > until) return false
      }
      this.#targets = null
      for (const { frame } of this.#undelivered.splice(0, this.#deliveringCount)) {
        this.#bytes -= frame.bytes
        this.#budget.release(frame)
      }
      this.#deliveringCount = 0
    }
    return true
  }

  /** Consecutive broadcasts to the same receivers are delivered together. */
  #nextBatch (): Iterator<BroadcastTarget> {
    const { audience } = this.#undelivered[0]!
    let batch = 1
    while (batch < this.#undelivered.length && this.#undelivered[batch]!.audience === audience) batch++
    this.#deliveringCount = batch
    return audience.targets.values()
  }

  /** The next cohort, or member out of step, that receives the batch; null after the last. */
  #nextTarget (): Cohort | BroadcastMember | null {
    if (this.#outOfStep !== null) {
      const next = this.#outOfStep.next()
      if (next.done !== true) return next.value
      this.#outOfStep = null
    }
    const { done, value: target } = this.#targets!.next()
    if (done === true) return null
    if (target instanceof Cohort) this.#outOfStep = target.outOfStep.values()
    return target as Cohort | BroadcastMember
  }

  get #lastOfBatch (): number { return this.#undelivered[this.#deliveringCount - 1]!.number }

  #deliverToCohort (cohort: Cohort, now: number, until: number): void {
    const last = this.#lastOfBatch
    if (cohort.deliveredUpTo < last) this.#handToCohort(cohort, this.#undelivered.slice(0, this.#deliveringCount), last, now, until)
  }

  #deliverTo (member: BroadcastMember, now: number): void {
    const last = this.#lastOfBatch
    if (member.deliveredUpTo >= last || member.isInStep) return
    for (let index = 0; index < this.#deliveringCount; index++) {
      const { number, except, frame } = this.#undelivered[index]!
      if (number > member.deliveredUpTo && except !== member) member.append(frame)
    }
    member.deliveredUpTo = last
    // With more to come for other receivers, a member may get more as well. One write can take it all.
    if (this.#deliveringCount === this.#undelivered.length) member.writeAppended(now)
    else member.scheduleAppended()
  }
}
