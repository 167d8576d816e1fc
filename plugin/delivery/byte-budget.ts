import { defaults } from '../../schemas/defaults.ts'
import type { EncodedBatch } from '../carriers/encoded-batch.ts'
import type { Frame } from '../protocol/frame.ts'
import type { Holder } from './holder.ts'

/** How many of a limit's parts events that wait to be run may take: the rest is for updates. */
const commandParts = 2

/** Of what is free of the events' part, how large a part one session may have. */
const fairParts = 4

/**
 * Counts the memory that all sessions and streams hold: updates with a weight each,
 * those that many share once; what is on its way into sockets; events that wait to be run.
 *
 * An update that is heavier than the limit by itself is not counted: it passes alone,
 * and nobody else makes room for it. There is room for one such update at a time.
 */
export class ByteBudget {
  readonly limit: number
  /** Weight of a place in a queue. */
  readonly slotWeight: number
  /** Bytes of the updates held now. */
  used = 0
  /** Weight of all that is held now, but for an update that passes alone. */
  weight = 0
  /** Weight of events that wait to be run, which is a part of `weight`. */
  commands = 0
  /** Updates that pass alone, the latest last. */
  readonly alone: Frame[] = []
  /** Who holds memory and is no session. */
  readonly others = new Set<Holder>()
  /** Called when the total was taken over the limit; it makes room. */
  onExceeded: () => void = () => {}
  /** The limit, or a little more than what could not be shed. */
  #exceededFrom: number
  /** How many updates may pass alone: one, or as many as could not be shed. */
  #aloneFrom = 1
  /** Whether more do. */
  #isCrowded = false

  constructor (limit: number, { slotWeight }: { readonly slotWeight: number } = defaults.fixed) {
    this.limit = limit
    this.slotWeight = slotWeight
    this.#exceededFrom = limit
  }

  /** Whether room is to be made. */
  get isExceeded (): boolean { return this.weight > this.#exceededFrom || this.#isCrowded }

  /** All that could be shed was shed: where more is still held, looking again at every frame would not help. */
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

  release (frame: Frame): void {
    if (--frame.holders > 0) return
    this.used -= frame.bytes
    if (frame.weight <= this.limit) return this.give(frame.weight)
    this.alone.splice(this.alone.indexOf(frame), 1)
    this.#aloneFrom = Math.max(1, Math.min(this.#aloneFrom, this.alone.length))
    this.#isCrowded = this.alone.length > this.#aloneFrom
  }

  /** What of a frame's weight would be free if one of its holders let it go, all alike. */
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

  /** A stream has a run in hand that takes several writes. */
  holdBatch (batch: EncodedBatch): void {
    if (batch.holders++ === 0) this.take(this.#weightOf(batch))
  }

  releaseBatch (batch: EncodedBatch): void {
    if (--batch.holders === 0) this.give(this.#weightOf(batch))
  }

  shareOfBatch (batch: EncodedBatch): number {
    return this.#weightOf(batch) / batch.holders
  }

  /** Of an update that passes alone it is not counted either. */
  #weightOf ({ weight }: EncodedBatch): number {
    return weight > this.limit ? 0 : weight
  }

  /**
   * Whether events of a weight may be queued by a session whose own, that wait
   * already, weigh `own`. All of them have a part of the limit; the less of it is
   * free, the less one session may have, so that others still have their turn.
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
