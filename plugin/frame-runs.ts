import type { Frame } from './frame.ts'
import type { Outbox } from './outbox.ts'

/**
 * Runs of frames joined to one piece of bytes, shared by all readers that get
 * the very same run in one turn of the event loop.
 */
export class FrameRuns {
  readonly #byFirst = new Map<Frame, { frames: Frame[], bytes: Buffer }>()

  /** The frames from `start` to `end - 1` as one buffer. */
  join (outbox: Outbox, start: number, end: number): Buffer {
    const first = outbox.at(start)
    const length = end - start
    if (length === 1) return first.buffer
    const known = this.#byFirst.get(first)
    if (known !== undefined && known.frames.length === length && known.frames.every((frame, index) => frame === outbox.at(start + index))) return known.bytes
    const frames: Frame[] = []
    let text = ''
    for (let number = start; number < end; number++) {
      const frame = outbox.at(number)
      frames.push(frame)
      text += frame.text
    }
    const bytes = Buffer.from(text)
    // Kept only where others may ask for it: a frame of its own makes the run private.
    if (frames.every((frame) => frame.holders > 1)) this.#byFirst.set(first, { frames, bytes })
    return bytes
  }

  clear (): void {
    if (this.#byFirst.size > 0) this.#byFirst.clear()
  }
}
