import type { RecordableHistogram } from 'node:perf_hooks'
import { microseconds } from '../process/clock.ts'

/** Occurs once in each frame, and nowhere else in a stream: readers count frames by it. */
export const mark = '^'

/** The part of a frame by which it is counted; a frame with a measured age has `t` right after its mark. */
export interface Marked {
  readonly mark: typeof mark
  /** Time of its broadcast, by `microseconds()`. */
  readonly t: number
}

/** Where the digits of `t` begin, counted from the mark. */
const timeOffset = '^","t":'.length
const markByte = mark.charCodeAt(0)
const digitZero = '0'.charCodeAt(0)

/**
 * Finds the marks in what is read. Frames of one round are nearly all of one length, so the next mark is
 * looked for where the last distance says, which costs a few nanoseconds; only a miss is searched for.
 */
export class FrameCounter {
  readonly #frameBytes: number
  #start = 0
  #distance: number

  /** @param frameBytes length of the shortest frame, so a step of less than two of them skips no mark */
  constructor (frameBytes: number) {
    this.#frameBytes = frameBytes
    this.#distance = frameBytes
  }

  /** Returns the number of marks in the first `length` bytes. Records the age of each frame in `latencies`. */
  count (bytes: Buffer, length: number, latencies: RecordableHistogram | null): number {
    let place = this.#first(bytes, length)
    let frames = 0
    while (place !== -1) {
      frames += 1
      if (latencies !== null) record(bytes, length, place, latencies)
      place = this.#next(bytes, length, place)
    }
    return frames
  }

  #first (bytes: Buffer, length: number): number {
    if (this.#start < length && bytes[this.#start] === markByte) return this.#start
    const place = find(bytes, length, 0)
    if (place !== -1 && place < this.#frameBytes) this.#start = place
    return place
  }

  #next (bytes: Buffer, length: number, place: number): number {
    const expected = place + this.#distance
    if (expected < length && bytes[expected] === markByte) return expected
    const found = find(bytes, length, place + 1)
    if (found !== -1 && found - place < this.#frameBytes * 2) this.#distance = found - place
    return found
  }
}

/** Beyond `length` lie bytes of an earlier read. */
function find (bytes: Buffer, length: number, from: number): number {
  if (from >= length) return -1
  const place = bytes.indexOf(markByte, from)
  return place < length ? place : -1
}

function record (bytes: Buffer, length: number, place: number, latencies: RecordableHistogram): void {
  let sentAt = 0
  for (let index = place + timeOffset; index < length; index += 1) {
    const digit = (bytes[index] ?? 0) - digitZero
    if (digit < 0 || digit > 9) {
      latencies.record(Math.max(1, microseconds() - sentAt))
      return
    }
    sentAt = sentAt * 10 + digit
  }
  // Cut within the digits: one frame less in the sample.
}
