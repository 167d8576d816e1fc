import { defaults } from '../../schemas/defaults.ts'
import type { Limits } from '../../schemas/limits.ts'
import type { Frame } from '../protocol/frame.ts'
import type { ByteBudget } from './byte-budget.ts'

/** A receiver of broadcasts. After one or more appends, the queue calls `writeAppended` or `scheduleAppended`. */
export interface BroadcastMember {
  /** Number of the last broadcast that it received or was excluded from; kept by the queue. */
  deliveredUpTo: number
  /** Queues a frame; checks no limit and writes nothing. */
  append: (frame: Frame) => void
  /** Writes the appended frames at once. */
  writeAppended: (now: number) => void
  /** Schedules the write of the appended frames for the end of this turn of the event loop. */
  scheduleAppended: () => void
}

/** Calls `deliver` at the end of the present turn of the event loop. */
interface Scheduler {
  wake: () => void
}

interface Broadcast {
  readonly number: number
  readonly members: ReadonlySet<BroadcastMember>
  readonly except: unknown
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
  readonly #scheduler: Scheduler
  readonly #limits: Limits
  #undelivered: Broadcast[] = []
  /** Number of broadcasts at the head of `#undelivered` that are in delivery. */
  #deliveringCount = 0
  /** The members that still wait for these broadcasts; null between deliveries. */
  #members: Iterator<BroadcastMember> | null = null
  #lastNumber = 0
  #bytes = 0
  #isDelivering = false

  constructor (budget: ByteBudget, scheduler: Scheduler, limits: Limits = defaults.fixed) {
    this.#budget = budget
    this.#scheduler = scheduler
    this.#limits = limits
  }

  /** Number of the latest broadcast. A new member starts from it. */
  get lastNumber (): number { return this.#lastNumber }
  get isEmpty (): boolean { return this.#undelivered.length === 0 }

  push (members: ReadonlySet<BroadcastMember>, except: unknown, frame: Frame): void {
    this.#undelivered.push({ number: ++this.#lastNumber, members, except, frame })
    this.#budget.hold(frame)
    this.#bytes += frame.bytes
    const { broadcastFrames, broadcastBytes } = this.#limits
    if (this.#undelivered.length > broadcastFrames || this.#bytes > broadcastBytes) this.deliver(performance.now(), Infinity)
    else if (this.#undelivered.length === 1) this.#scheduler.wake()
  }

  /** Delivers all pending broadcasts to one member. Call it before any other operation on the member. */
  catchUp (member: BroadcastMember): void {
    if (member.deliveredUpTo === this.#lastNumber) return
    let hasNew = false
    for (const { number, members, except, frame } of this.#undelivered) {
      if (number <= member.deliveredUpTo || except === member || !members.has(member)) continue
      member.append(frame)
      hasNew = true
    }
    member.deliveredUpTo = this.#lastNumber
    if (hasNew) member.scheduleAppended()
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
      this.#members ??= this.#nextBatch()
      for (;;) {
        const next = this.#members.next()
        if (next.done === true) break
        this.#deliverTo(next.value, now)
        if ((++count & 15) === 0 && performance.now() > until) return false
      }
      this.#members = null
      for (const { frame } of this.#undelivered.splice(0, this.#deliveringCount)) {
        this.#bytes -= frame.bytes
        this.#budget.release(frame)
      }
      this.#deliveringCount = 0
    }
    return true
  }

  /** Consecutive broadcasts to the same members are delivered together. */
  #nextBatch (): Iterator<BroadcastMember> {
    const { members } = this.#undelivered[0]!
    let batch = 1
    while (batch < this.#undelivered.length && this.#undelivered[batch]!.members === members) batch++
    this.#deliveringCount = batch
    return members.values()
  }

  #deliverTo (member: BroadcastMember, now: number): void {
    const last = this.#undelivered[this.#deliveringCount - 1]!.number
    if (member.deliveredUpTo >= last) return
    for (let index = 0; index < this.#deliveringCount; index++) {
      const { number, except, frame } = this.#undelivered[index]!
      if (number > member.deliveredUpTo && except !== member) member.append(frame)
    }
    member.deliveredUpTo = last
    member.writeAppended(now)
  }
}
