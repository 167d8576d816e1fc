import { defaults } from '../../schemas/defaults.ts'
import type { EncodedBatch } from '../carriers/encoded-batch.ts'
import type { Frame } from '../protocol/frame.ts'
import type { Holder } from './holder.ts'

/** Waiting events may take `1 / commandParts` of the limit; the rest is for updates. */
const commandParts = 2

/** One session may take `1 / fairParts` of the events' free memory. */
const fairParts = 4

/**
 * Counts the memory of all sessions and streams: updates by their weight, shared ones once;
 * large batches that are partly written; events that wait for their handler.
 *
 * An update that is heavier than the limit passes alone: it is not counted, and no other update
 * is dropped for it. Only one such update may pass at a time.
 */
export class ByteBudget {
  readonly limit: number
  /** Weight of a place in a queue. */
  readonly slotWeight: number
  /** Bytes of all held updates. */
  used = 0
  /** Weight of everything held, except updates that pass alone. */
  weight = 0
  /** Weight of waiting events, a part of `weight`. */
  commands = 0
  /** Updates that pass alone, the latest last. */
  readonly alone: Frame[] = []
  /** Holders other than sessions. */
  readonly others = new Set<Holder>()
  /** Called when the total exceeds the limit, to make room. */
  onExceeded: () => void = () => {}
  /** The limit, or slightly more than the weight that could not be shed. */
  #exceededFrom: number
  /** Number of updates that may pass alone: one, or those that could not be shed. */
  #aloneFrom = 1
  /** Whether more updates than `#aloneFrom` pass alone. */
  #isCrowded = false

  constructor (limit: number, { slotWeight }: { readonly slotWeight: number } = defaults.fixed) {
    this.limit = limit
    this.slotWeight = slotWeight
    this.#exceededFrom = limit
  }

  /** Whether holders must make room. */
  get isExceeded (): boolean { return this.weight > this.#exceededFrom || this.#isCrowded }

  /** Call it when nothing more can be shed. It raises the threshold to the weight that is left, since a try at every frame would not help. */
  shed (): void {
    this.#exceededFrom = Math.max(this.limit, this.weight * 1.01)
    this.#aloneFrom = Math.max(1, this.alone.length)
    this.#isCrowded = false
  }

  hold (frame: Frame): void {
    if (frame.holders++ > 0) {
      frame.isShared = true
      return
    }
    this.used += frame.bytes
    if (frame.weight <= this.limit) {
      this.weight += frame.weight
      return
    }
    this.alone.push(frame)
    this.#isCrowded = this.alone.length > this.#aloneFrom
  }

  /** Holds a frame of one session once more, on behalf of that session: its text stays private. */
  keep (frame: Frame): void {
    if (frame.holders === 0) this.hold(frame)
    else frame.holders++
  }

  release (frame: Frame): void {
    if (--frame.holders > 0) return
    this.used -= frame.bytes
    if (frame.weight <= this.limit) return this.give(frame.weight)
    this.alone.splice(this.alone.indexOf(frame), 1)
    this.#aloneFrom = Math.max(1, Math.min(this.#aloneFrom, this.alone.length))
    this.#isCrowded = this.alone.length > this.#aloneFrom
  }

  /** One holder's share of a frame's weight, the same for all. */
  shareOf (frame: Frame): number {
    return frame.weight > this.limit ? 0 : frame.weight / frame.holders
  }

  take (weight: number): void {
    this.weight += weight
  }

  give (weight: number): void {
    this.weight -= weight
    if (this.#exceededFrom > this.limit) this.#exceededFrom = Math.max(this.limit, Math.min(this.#exceededFrom, this.weight * 1.01))
  }

  /** Counts a batch that a stream writes in several parts. */
  holdBatch (batch: EncodedBatch): void {
    if (batch.holders++ === 0) this.take(this.#weightOf(batch))
  }

  releaseBatch (batch: EncodedBatch): void {
    if (--batch.holders === 0) this.give(this.#weightOf(batch))
  }

  shareOfBatch (batch: EncodedBatch): number {
    return this.#weightOf(batch) / batch.holders
  }

  /** A batch with an update that passes alone is not counted either. */
  #weightOf ({ weight }: EncodedBatch): number {
    return weight > this.limit ? 0 : weight
  }

  /**
   * Whether a session whose waiting events weigh `own` may queue another `weight`. All events
   * together have a part of the limit. The less of it is free, the less one session may take, so
   * that other sessions keep some room.
   */
  admitsCommands (own: number, weight: number): boolean {
    if (this.commands === 0) return true
    const free = this.limit / commandParts - this.commands
    return weight <= free && (own === 0 || own + weight <= free / fairParts)
  }

  takeCommand (weight: number): void {
    this.commands += weight
    this.take(weight)
  }

  giveCommand (weight: number): void {
    this.commands -= weight
    this.give(weight)
  }
}
