import type { Frame } from '../protocol/frame.ts'
import type { ByteBudget } from './byte-budget.ts'

/** How much of what was written is kept for a reader that comes back. */
export interface ReplayLimits {
  readonly replayFrames: number
  readonly replayBytes: number
  readonly replayAgeMs: number
}

/** Below this many waiting frames a scan finds a key faster than a map would be kept. */
const scanLimit = 16

/**
 * The frames of one session, numbered from 1 without a hole, in three zones:
 *
 * ```
 *    first           cursor           fresh            next
 *      │   written     │   replaying    │    waiting     │
 * ```
 *
 * *Written* frames are kept for resume. *Replaying* ones were written before and
 * are being written again. *Waiting* ones were never written; only these are
 * conflated, and only these count against the write buffer and the hard limits.
 * It is write buffer, replay log and offline queue in one.
 */
export class Outbox {
  readonly #limits: ReplayLimits
  readonly #budget: ByteBudget
  /** A ring; the frame numbered n is at n & mask. */
  #ring: Array<Frame | undefined> = []
  #writtenAt: number[] = []
  #mask = -1
  #first = 1
  #cursor = 1
  #fresh = 1
  #next = 1
  #heldBytes = 0
  #waitingBytes = 0
  /** Last frame dropped that the reader has not been told of; 0 for none. */
  #gap = 0
  /** First of the conflated frames at the end of the waiting zone, behind the last one that every reader gets. */
  #conflatable = 1
  /** Number of the waiting frame per key, once there are too many to scan. */
  #byKey: Map<string, number> | null = null

  constructor (limits: ReplayLimits, budget: ByteBudget) {
    this.#limits = limits
    this.#budget = budget
  }

  /** Number of the oldest frame held; equal to `next` when there is none. */
  get first (): number { return this.#first }
  /** Number of the next frame that the present reader gets. */
  get cursor (): number { return this.#cursor }
  /** Number that the next new frame gets. */
  get next (): number { return this.#next }
  get waiting (): number { return this.#next - this.#fresh }
  get waitingBytes (): number { return this.#waitingBytes }
  get heldBytes (): number { return this.#heldBytes }
  get replaying (): boolean { return this.#cursor < this.#fresh }
  /** When the oldest of those kept for a replay was written; null when there is none that may be forgotten. */
  get oldestWrittenAt (): number | null {
    return this.#first < this.#cursor && this.#first < this.#fresh ? this.#writtenAt[this.#first & this.#mask]! : null
  }

  /** Its share of what is held: of a frame that several outboxes hold, each has a part. */
  get share (): number {
    let share = 0
    for (let number = this.#first; number < this.#next; number++) share += this.#budget.shareOf(this.at(number))
    return share
  }

  /** Whether the reader has something to get: a frame, or the news of a gap. */
  get pending (): boolean { return this.#cursor < this.#next || this.#gap !== 0 }

  /** Adds a frame behind all others, or puts it in the place of a waiting one with its key. Returns whether it took a place. */
  append (frame: Frame): boolean {
    if (frame.key === null) {
      this.#conflatable = this.#next + 1
      if (this.#byKey !== null) this.#byKey = null
    } else {
      const place = this.#find(frame.key)
      if (place !== 0) {
        this.#replace(place, frame)
        return true
      }
      if (this.#byKey !== null) this.#byKey.set(frame.key, this.#next)
    }
    if (this.#next - this.#first > this.#mask) this.#grow()
    this.#ring[this.#next++ & this.#mask] = frame
    this.#heldBytes += frame.bytes
    this.#waitingBytes += frame.bytes
    this.#budget.hold(frame)
    return false
  }

  /** The frame with a number from `first` to `next - 1`. */
  at (number: number): Frame {
    return this.#ring[number & this.#mask]!
  }

  /**
   * Number after the last frame of a run that begins at the cursor and holds at
   * most `bytes`, or one frame. Each frame counts for `overhead` bytes more.
   */
  batchEnd (bytes: number, overhead: number): number {
    let end = this.#cursor
    let room = bytes
    while (end < this.#next) {
      room -= this.at(end).bytes + overhead
      if (room < 0 && end > this.#cursor) break
      end++
    }
    return end
  }

  /** Bytes of the frames from `start` to `end - 1`. */
  bytesBetween (start: number, end: number): number {
    let bytes = 0
    for (let number = start; number < end; number++) bytes += this.at(number).bytes
    return bytes
  }

  /** Notes that the frames before `end` were handed to the reader at `now`. */
  wrote (end: number, now: number): void {
    for (let number = Math.max(this.#cursor, this.#fresh); number < end; number++) {
      this.#writtenAt[number & this.#mask] = now
      this.#waitingBytes -= this.at(number).bytes
    }
    this.#cursor = end
    if (end > this.#fresh) this.#fresh = end
    if (this.#byKey !== null && this.#fresh === this.#next) this.#byKey = null
    this.trim(now)
  }

  /** Forgets written frames beyond the limits of the replay log; never one that the reader is still to get. */
  trim (now: number): void {
    const { replayFrames, replayBytes, replayAgeMs } = this.#limits
    while (this.#first < this.#cursor && this.#first < this.#fresh) {
      const over = this.#fresh - this.#first > replayFrames ||
        this.#heldBytes - this.#waitingBytes > replayBytes ||
        (replayAgeMs > 0 && now - this.#writtenAt[this.#first & this.#mask]! > replayAgeMs)
      if (!over) break
      this.#forgetFirst()
    }
  }

  /** Forgets what the reader says that it has. */
  acknowledge (number: number): void {
    while (this.#first <= number && this.#first < this.#cursor && this.#first < this.#fresh) this.#forgetFirst()
  }

  /** Number of a frame; 0 where it is not held. */
  placeOf (frame: Frame): number {
    for (let number = this.#first; number < this.#next; number++) {
      if (this.at(number) === frame) return number
    }
    return 0
  }

  /** Forgets what was written, the oldest first, until its share is at most `weight`. */
  forgetTo (weight: number): void {
    let { share } = this
    while (share > weight && this.#first < this.#cursor && this.#first < this.#fresh) {
      share -= this.#budget.shareOf(this.at(this.#first))
      this.#forgetFirst()
    }
  }

  /** Drops frames, written, replaying or waiting, the oldest first, until its share is at most `weight`. Returns how many waiting ones were dropped. */
  dropTo (weight: number): number {
    let { share } = this
    let number = this.#first
    while (share > weight && number < this.#next) share -= this.#budget.shareOf(this.at(number++))
    return this.dropThrough(number - 1)
  }

  /** Drops all frames up to a number. Returns how many waiting ones were dropped. */
  dropThrough (number: number): number {
    const dropped = Math.max(0, number + 1 - this.#fresh)
    while (this.#first <= number) {
      if (this.#first === this.#fresh) {
        this.#waitingBytes -= this.at(this.#first).bytes
        this.#fresh++
      }
      this.#forgetFirst()
    }
    this.#skipDropped()
    return dropped
  }

  /** Where what the reader was to get next is dropped, it goes on behind that, and is to be told. */
  #skipDropped (): void {
    if (this.#cursor >= this.#first) return
    this.#cursor = this.#first
    this.#gap = this.#first - 1
  }

  /**
   * Drops the oldest waiting frames until at most `frames` and `bytes` wait; the
   * newest always stays. All that lies before them is forgotten too, so that what
   * is held stays one run.
   *
   * @returns how many waiting frames were dropped.
   */
  dropOldest (frames: number, bytes: number): number {
    let dropped = 0
    while (this.waiting > 1 && (this.waiting > frames || this.#waitingBytes > bytes)) {
      while (this.#first <= this.#fresh) {
        if (this.#first === this.#fresh) {
          this.#waitingBytes -= this.at(this.#first).bytes
          this.#fresh++
          this.#forgetFirst()
          break
        }
        this.#forgetFirst()
      }
      dropped++
    }
    if (dropped > 0) this.#skipDropped()
    return dropped
  }

  /** Number of the last frame dropped, when the reader is still to be told; 0 otherwise. Telling it once settles it. */
  takeGap (): number {
    const gap = this.#gap
    this.#gap = 0
    return gap
  }

  /** Has the reader told that everything before its cursor is lost. */
  announceGap (): void {
    this.#gap = this.#cursor - 1
  }

  /** The reader is gone: all that was written is replay log now. */
  detach (now: number): void {
    this.#cursor = this.#fresh
    this.#gap = 0
    this.trim(now)
  }

  /**
   * Sets the cursor for a reader that has everything up to `number`.
   *
   * @returns the number that it is taken to have: its own when every frame after it
   * is held, otherwise that before the first held.
   */
  resume (number: number, now: number): number {
    this.#cursor = this.#fresh
    this.trim(now)
    this.#gap = 0
    const complete = number >= this.#first - 1 && number < this.#fresh
    this.#cursor = complete ? number + 1 : this.#first
    return this.#cursor - 1
  }

  /** Forgets everything. */
  clear (): void {
    while (this.#first < this.#next) this.#forgetFirst()
    if (this.#mask >= 0) this.#resize(0)
    this.#cursor = this.#fresh = this.#next
    this.#waitingBytes = 0
    this.#gap = 0
    this.#byKey = null
  }

  #find (key: string): number {
    const start = Math.max(this.#conflatable, this.#fresh)
    const length = this.#next - start
    if (length === 0) return 0
    if (length <= scanLimit) {
      this.#byKey = null
      for (let number = this.#next - 1; number >= start; number--) {
        if (this.at(number).key === key) return number
      }
      return 0
    }
    // Keys of frames that wait no longer are left in it, until they are too many.
    if (this.#byKey === null || this.#byKey.size > 2 * length) {
      this.#byKey = new Map()
      for (let number = start; number < this.#next; number++) this.#byKey.set(this.at(number).key!, number)
    }
    const place = this.#byKey.get(key)
    return place !== undefined && place >= start ? place : 0
  }

  #replace (place: number, frame: Frame): void {
    const old = this.at(place)
    this.#ring[place & this.#mask] = frame
    this.#heldBytes += frame.bytes - old.bytes
    this.#waitingBytes += frame.bytes - old.bytes
    this.#budget.hold(frame)
    this.#budget.release(old)
  }

  #forgetFirst (): void {
    const frame = this.at(this.#first)
    this.#ring[this.#first & this.#mask] = undefined
    this.#first++
    this.#heldBytes -= frame.bytes
    this.#budget.release(frame)
    // A burst's ring is not carried along for the rest of the session.
    if (this.#first === this.#next && this.#mask > 63) this.#resize(0)
  }

  #grow (): void {
    this.#resize(this.#mask < 0 ? 4 : (this.#mask + 1) * 2)
  }

  #resize (size: number): void {
    const { slotWeight } = this.#budget
    const slots = size - (this.#mask + 1)
    if (slots > 0) this.#budget.take(slots * slotWeight)
    else this.#budget.give(-slots * slotWeight)
    const ring = new Array<Frame | undefined>(size).fill(undefined)
    const writtenAt = new Array<number>(size).fill(0)
    for (let number = this.#first; number < this.#next; number++) {
      ring[number & (size - 1)] = this.#ring[number & this.#mask]
      writtenAt[number & (size - 1)] = this.#writtenAt[number & this.#mask]!
    }
    this.#ring = ring
    this.#writtenAt = writtenAt
    this.#mask = size - 1
  }
}
