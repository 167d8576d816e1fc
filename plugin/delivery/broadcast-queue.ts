import { defaults } from '../../schemas/defaults.ts'
import type { Limits } from '../../schemas/limits.ts'
import type { Frame } from '../protocol/frame.ts'
import type { ByteBudget } from './byte-budget.ts'

/** Who gets broadcasts. */
export interface BroadcastMember {
  /** Number of the last broadcast that it got, or was not meant to get; kept by the queue. */
  servedUpTo: number
  /** Puts a frame behind all others, without a look at limits. */
  append: (frame: Frame) => void
  /** Called when frames were appended: `now` is when to write at once, null to write with all others of this turn. */
  appended: (now: number | null) => void
}

/** Who calls `deliver`, once the present turn of the event loop has run. */
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
 * A call costs the same for ten members as for ten thousand: what is done for each
 * member is done afterwards, in slices. Whatever else happens to a member in
 * between first lets it catch up, so that nobody can tell the difference.
 */
export class BroadcastQueue {
  readonly #budget: ByteBudget
  readonly #scheduler: Scheduler
  readonly #limits: Limits
  #pending: Broadcast[] = []
  /** How many of `pending` are being delivered, and to whom next. */
  #batch = 0
  #members: Iterator<BroadcastMember> | null = null
  #lastNumber = 0
  #bytes = 0
  #isDelivering = false

  constructor (budget: ByteBudget, scheduler: Scheduler, limits: Limits = defaults.fixed) {
    this.#budget = budget
    this.#scheduler = scheduler
    this.#limits = limits
  }

  /** Number of the latest broadcast: what a new member starts from. */
  get lastNumber (): number { return this.#lastNumber }
  get isEmpty (): boolean { return this.#pending.length === 0 }

  push (members: ReadonlySet<BroadcastMember>, except: unknown, frame: Frame): void {
    this.#pending.push({ number: ++this.#lastNumber, members, except, frame })
    this.#budget.hold(frame)
    this.#bytes += frame.bytes
    const { broadcastFrames, broadcastBytes } = this.#limits
    if (this.#pending.length > broadcastFrames || this.#bytes > broadcastBytes) this.deliver(performance.now(), Infinity)
    else if (this.#pending.length === 1) this.#scheduler.wake()
  }

  /** Gives a member what it is still to get, before anything else happens to it. */
  catchUp (member: BroadcastMember): void {
    if (member.servedUpTo === this.#lastNumber) return
    let got = false
    for (const { number, members, except, frame } of this.#pending) {
      if (number <= member.servedUpTo || except === member || !members.has(member)) continue
      member.append(frame)
      got = true
    }
    member.servedUpTo = this.#lastNumber
    if (got) member.appended(null)
  }

  /** Delivers until `until`, on the clock of `performance.now()`. Returns whether nothing is left. */
  deliver (now: number, until: number): boolean {
    // A member that is being served may lose its session, whose `signal` runs code that broadcasts.
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
    while (this.#pending.length > 0) {
      this.#members ??= this.#nextBatch()
      for (;;) {
        const next = this.#members.next()
        if (next.done === true) break
        this.#serve(next.value, now)
        if ((++count & 15) === 0 && performance.now() > until) return false
      }
      this.#members = null
      for (const { frame } of this.#pending.splice(0, this.#batch)) {
        this.#bytes -= frame.bytes
        this.#budget.release(frame)
      }
      this.#batch = 0
    }
    return true
  }

  /** Broadcasts that follow each other to the same members are given to each of them together. */
  #nextBatch (): Iterator<BroadcastMember> {
    const { members } = this.#pending[0]!
    let batch = 1
    while (batch < this.#pending.length && this.#pending[batch]!.members === members) batch++
    this.#batch = batch
    return members.values()
  }

  #serve (member: BroadcastMember, now: number): void {
    const last = this.#pending[this.#batch - 1]!.number
    if (member.servedUpTo >= last) return
    for (let index = 0; index < this.#batch; index++) {
      const { number, except, frame } = this.#pending[index]!
      if (number > member.servedUpTo && except !== member) member.append(frame)
    }
    member.servedUpTo = last
    member.appended(now)
  }
}
