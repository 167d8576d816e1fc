import { EncodedBatch } from '../carriers/encoded-batch.ts'
import type { Outbox } from '../delivery/outbox.ts'
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
    const last = this.#last
    if (last !== null && holds(last.frames, outbox, start, end)) return last.encoded
    const first = outbox.at(start)
    const next = this.#byFirst.get(first)
    let known = next
    while (known !== undefined && !holds(known.frames, outbox, start, end)) known = known.next
    if (known === undefined) {
      const frames: Frame[] = []
      let text = ''
      for (let number = start; number < end; number++) {
        const frame = outbox.at(number)
        if (frame.holders < 2) return null
        frames.push(frame)
        text += frame.text
      }
      // In one turn, slow readers may write many different batches of their backlogs, so the number is bounded.
      const isFull = this.#count === this.#most
      if (isFull) this.clear()
      known = { frames, encoded: new EncodedBatch(text), next: isFull ? undefined : next }
      this.#byFirst.set(first, known)
      this.#count++
    }
    this.#last = known
    return known.encoded
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
