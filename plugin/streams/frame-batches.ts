import { EncodedBatch } from '../carriers/encoded-batch.ts'
import type { Outbox } from '../delivery/outbox.ts'
import type { Frame } from '../protocol/frame.ts'

interface KnownBatch {
  readonly frames: readonly Frame[]
  readonly encoded: EncodedBatch
  /** Another that begins with the same frame. */
  readonly next: KnownBatch | undefined
}

/**
 * Runs of frames joined to one piece of bytes, which all readers share that get
 * the very same run in one turn of the event loop.
 */
export class FrameBatches {
  readonly #most: number
  readonly #byFirst = new Map<Frame, KnownBatch>()
  #count = 0
  /** What was asked for last is most often asked for again. */
  #last: KnownBatch | null = null

  /** @param most batches that are kept at a time */
  constructor (most: number) {
    this.#most = most
  }

  /** The frames from `start` to `end - 1` as one piece; null when one of them is no other reader's, so that there is nothing to share. */
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
      // Slow readers, each at a place of its own, take up their backlogs while nothing else goes on.
      const isFull = this.#count === this.#most
      if (isFull) this.clear()
      known = { frames, encoded: new EncodedBatch(text), next: isFull ? undefined : next }
      this.#byFirst.set(first, known)
      this.#count++
    }
    this.#last = known
    return known.encoded
  }

  /** Forgets all runs; readers that get them later make them anew. */
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
