import { microseconds } from '../process/clock.ts'
import { mark, type Marked } from './frame-counter.ts'

/** Data of kinds for which the content does not matter. */
export interface Sample extends Marked {
  readonly text: string
}

/** Samples that make frames of one length. */
export class Samples {
  readonly #text: string

  /** @param frameBytes bytes of a frame as server-sent events */
  constructor (frameBytes: number) {
    const empty = encode({ mark, t: microseconds(), text: '' })
    this.#text = 'x'.repeat(Math.max(0, frameBytes - empty.length))
  }

  /** A sample with the present time. */
  next (): Sample {
    return { mark, t: microseconds(), text: this.#text }
  }

  /** The same as server-sent events, for kinds that leave the framing to their user. */
  nextFrame (): string {
    return encode(this.next())
  }
}

function encode (sample: Sample): string {
  return `event: sample\ndata: ${JSON.stringify(sample)}\n\n`
}
