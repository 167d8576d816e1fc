import { EncodedBatch } from '../carriers/encoded-batch.ts'
import type { Outbox } from './outbox.ts'
import type { Frame } from '../protocol/frame.ts'

interface KnownBatch {
  readonly frames: readonly Frame[]
  readonly encoded: EncodedBatch
  /** The next batch with the same first frame. */
  readonly next: KnownBatch | undefined
}

/**
 * Batches of frames, encoded once for all readers that get the same frames in one turn of
 * the event loop.
 */
export class FrameBatches {
  readonly #most: number
  readonly #byFirst = new Map<Frame, KnownBatch>()
  #count = 0
  /** The latest batch; most readers ask for it. */
  #last: KnownBatch | null = null

  /** @param most batches that are kept at a time */
  constructor (most: number) {
    this.#most = most
  }

  /** The frames from `start` to `end - 1` as one batch; null if one of the frames has no other reader. */
  shared (outbox: Outbox, start: number, end: number): EncodedBatch | null {
    const known = this.#find(outbox, start, end)
    if (known !== null) return known
    for (let number = start; number < end; number++) {
      if (outbox.at(number).holders < 2) return null
    }
    return this.#encode(outbox, start, end)
  }

  /** The frames from `start` to `end - 1` of a log with many readers as one batch. */
  of (log: Outbox, start: number, end: number): EncodedBatch {
    return this.#find(log, start, end) ?? this.#encode(log, start, end)
  }

  #find (outbox: Outbox, start: number, end: number): EncodedBatch | null {
    const last = this.#last
    if (last !== null && holds(last.frames, outbox, start, end)) return last.encoded
    let known = this.#byFirst.get(outbox.at(start))
    while (known !== undefined && !holds(known.frames, outbox, start, end)) known = known.next
    if (known === undefined) return null
    this.#last = known
    return known.encoded
  }

  #encode (outbox: Outbox, start: number, end: number): EncodedBatch {
    const frames: Frame[] = []
    let text = ''
    for (let number = start; number < end; number++) {
      const frame = outbox.at(number)
      frames.push(frame)
      text += frame.text
    }
    // In one turn, slow readers may write many different batches of their backlogs, so the number is bounded.
    if (this.#count === this.#most) this.clear()
    const encoded = new EncodedBatch(text)
    this.#last = { frames, encoded, next: this.#byFirst.get(frames[0]!) }
    this.#byFirst.set(frames[0]!, this.#last)
    this.#count++
    return encoded
  }

  /** Forgets all batches; later readers make them anew. */
  clear (): void {
    if (this.#last === null) return
    this.#last = null
    this.#count = 0
    this.#byFirst.clear()
  }
}

function holds (frames: readonly Frame[], outbox: Outbox, start: number, end: number): boolean {
  if (frames.length !== end - start) return false
  for (let index = 0; index < frames.length; index++) {
    if (frames[index] !== outbox.at(start + index)) return false
  }
  return true
}
