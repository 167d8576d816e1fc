import { SeriesBuffer } from './series-buffer.js'

const bucketMs = 500

/** Counts the received frames, half a second at a time. */
export class FrameCounter {
  /** Frames a second, a row for each bucket that is over. */
  buffer = new SeriesBuffer(1)

  #now
  #start = 0
  #frames = 0

  /** @param {() => number} now */
  constructor (now) {
    this.#now = now
  }

  /** Counts `frames` more, and closes the buckets that time has left behind. */
  add (frames) {
    const start = Math.floor(this.#now() / bucketMs) * bucketMs
    if (start > this.#start) {
      if (this.#start > 0) this.#close(start)
      this.#start = start
      this.#frames = 0
    }
    this.#frames += frames
  }

  /** Over the last whole second. */
  get perSecond () {
    const [times, rates] = this.buffer.columns
    const since = this.#start - 1000
    let sum = 0
    for (let row = times.length - 1; row >= 0 && times[row] >= since; row--) sum += rates[row] ?? 0
    return sum * bucketMs / 1000
  }

  #close (until) {
    this.buffer.add(this.#start, [this.#frames * 1000 / bucketMs])
    // Empty ones are drawn as nothing; only those of the last second count.
    for (let empty = Math.max(this.#start + bucketMs, until - 1000); empty < until; empty += bucketMs) this.buffer.add(empty, [0])
  }
}
