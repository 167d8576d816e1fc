import type { ByteBudget } from '../delivery/byte-budget.ts'
import type { Holder } from '../delivery/holder.ts'
import { Frame } from '../protocol/frame.ts'
import { lostReplyFrame } from './reply.ts'

/** A reply that its client has not acknowledged. */
interface KeptReply {
  readonly seq: number
  frame: Frame
  /** Number of the update that carries it; 0 while it is lost, and is to be sent again. */
  number: number
  /** False once a stand-in has its place. */
  isWhole: boolean
}

/** The kept replies as JSON: of each, the number of its request, its text, and the number of its update, 0 for none. */
export type RepliesSnapshot = ReadonlyArray<readonly [seq: number, text: string, number: number]>

/**
 * The requests of one session, and the replies that its client has not acknowledged. Updates may be dropped, and a gap says
 * so; a reply that a gap covers is sent again.
 *
 * Beyond `maxReplyBytes`, and where memory is short, the oldest replies are no longer kept whole: a stand-in then tells the
 * client that its reply is lost, if it does not have it.
 */
export class Replies implements Holder {
  readonly #limits: { readonly maxReplyBytes: number }
  readonly #budget: ByteBudget
  /** By number of the request, oldest first. */
  readonly #kept = new Map<number, KeptReply>()
  /** Requests that wait or run. */
  #running = 0
  /** Bytes of the whole replies. */
  #bytes = 0
  #lost = 0

  constructor (limits: { readonly maxReplyBytes: number }, budget: ByteBudget) {
    this.#limits = limits
    this.#budget = budget
  }

  /** Requests that wait or run, or whose reply is kept. */
  get size (): number { return this.#running + this.#kept.size }
  /** Whether a reply is to be sent again. */
  get hasLost (): boolean { return this.#lost > 0 }

  /** A request was accepted. */
  begin (): void {
    this.#running++
  }

  /** A request has its reply, or will have none. */
  end (): void {
    this.#running--
  }

  /** Keeps the reply to request `seq`, which the update `number` carries. */
  keep (seq: number, frame: Frame, number: number): void {
    this.#budget.others.add(this)
    this.#kept.set(seq, { seq, frame, number, isWhole: true })
    this.#budget.keep(frame)
    this.#bytes += frame.bytes
    for (const kept of this.#kept.values()) {
      if (this.#bytes <= this.#limits.maxReplyBytes || kept.frame === frame) break
      this.#shrink(kept)
    }
  }

  /** The client has all updates up to a number. */
  acknowledge (number: number): void {
    for (const kept of this.#kept.values()) {
      if (kept.number !== 0 && kept.number <= number) this.#forget(kept)
    }
  }

  /** The client will not get the updates from number `from` to `end - 1`. */
  miss (from: number, end: number): void {
    for (const kept of this.#kept.values()) {
      if (kept.number === 0 || kept.number < from || kept.number >= end) continue
      kept.number = 0
      this.#lost++
    }
  }

  /**
   * Sends lost replies again, until there is no place for one.
   *
   * @param place queues an update, and returns its number; 0 if there is no place
   */
  sendLost (place: (frame: Frame) => number): void {
    for (const kept of this.#kept.values()) {
      if (kept.number !== 0) continue
      // A frame that an outbox takes in while it has another holder counts as shared, which its text is not.
      const again = new Frame(kept.frame.text)
      const number = place(again)
      if (number === 0) return
      this.#budget.keep(again)
      this.#budget.release(kept.frame)
      kept.frame = again
      kept.number = number
      this.#lost--
    }
  }

  /** Forgets all replies. */
  clear (): void {
    for (const kept of this.#kept.values()) this.#forget(kept)
  }

  #forget (kept: KeptReply): void {
    this.#kept.delete(kept.seq)
    this.#budget.release(kept.frame)
    if (kept.isWhole) this.#bytes -= kept.frame.bytes
    if (kept.number === 0) this.#lost--
    if (this.#kept.size === 0) this.#budget.others.delete(this)
  }

  /** Puts a stand-in in the place of a reply. */
  #shrink (kept: KeptReply): void {
    if (!kept.isWhole) return
    kept.isWhole = false
    this.#bytes -= kept.frame.bytes
    this.#budget.release(kept.frame)
    kept.frame = lostReplyFrame(kept.seq)
    this.#budget.keep(kept.frame)
  }

  // Memory

  get heldWeight (): number {
    let weight = 0
    for (const { frame } of this.#kept.values()) weight += this.#budget.shareOf(frame)
    return weight
  }

  shed (weight: number): void {
    let held = this.heldWeight
    for (const kept of this.#kept.values()) {
      if (held <= weight) return
      held -= this.#budget.shareOf(kept.frame)
      this.#shrink(kept)
      held += this.#budget.shareOf(kept.frame)
    }
  }

  letGo (frame: Frame): void {
    for (const kept of this.#kept.values()) if (kept.frame === frame) this.#shrink(kept)
  }

  // Moving

  snapshot (): RepliesSnapshot {
    return Array.from(this.#kept.values(), ({ seq, frame, number }) => [seq, frame.text, number])
  }

  /** Continues with the replies of a snapshot. For a session that has had no request. */
  restore (snapshot: RepliesSnapshot): void {
    for (const [seq, text, number] of snapshot) {
      this.keep(seq, new Frame(text), number)
      if (number === 0) this.#lost++
    }
  }
}
