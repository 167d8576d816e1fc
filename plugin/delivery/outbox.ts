import { Frame } from '../protocol/frame.ts'
import type { ByteBudget } from './byte-budget.ts'

/** Bounds of the replay log: the written frames that are kept for a reader that reconnects. */
export interface ReplayLimits {
  readonly replayFrames: number
  readonly replayBytes: number
  readonly replayAgeMs: number
}

/** A held frame as JSON. */
export interface FrameSnapshot {
  readonly text: string
  readonly key: string | null
  /** Whether other readers received it too: compression keeps shared and private text apart. */
  readonly shared: boolean
  /** Milliseconds since it was written; null while it waits. */
  readonly writtenMsAgo: number | null
}

/** A held frame. */
export interface HeldFrame {
  readonly frame: Frame
  /** Milliseconds since it was written; null while it waits. */
  readonly writtenMsAgo: number | null
}

/** An outbox as JSON. */
export interface OutboxSnapshot {
  /** Number of the first of `frames`. */
  readonly first: number
  /** Number of the next frame for the present reader. */
  readonly cursor: number
  /** Number of the last dropped frame that the present reader has not learned of; 0 for none. */
  readonly gap: number
  /** All held frames in order: the written ones, then the waiting ones. */
  readonly frames: readonly FrameSnapshot[]
}

/** Gets each waiting frame that is dropped. */
export type DropNote = (frame: Frame) => void

/** With fewer waiting frames, a scan for a key is faster than a map. */
const scanLimit = 16

/**
 * The frames of one session, numbered from 1 without a hole, in three zones:
 *
 * ```
 *    first           cursor           fresh            next
 *      │   written     │   replaying    │    waiting     │
 * ```
 *
 * *Written* frames are kept for resume. *Replaying* frames were written before and
 * are written again. *Waiting* frames were never written; only these are
 * conflated, and only these count against the write buffer and the hard limits.
 * The outbox is write buffer, replay log and offline queue in one.
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
  /** Number of the last dropped frame that the reader has not learned of; 0 for none. */
  #gap = 0
  /** Number after the last frame without a key. Only frames from here on may be conflated. */
  #conflatable = 1
  /** Number of the waiting frame of each key; null while a scan is faster. */
  #byKey: Map<string, number> | null = null

  constructor (limits: ReplayLimits, budget: ByteBudget) {
    this.#limits = limits
    this.#budget = budget
  }

  /** Number of the oldest held frame; equal to `next` when the outbox is empty. */
  get first (): number { return this.#first }
  /** Number of the next frame for the present reader. */
  get cursor (): number { return this.#cursor }
  /** Number of the next appended frame. */
  get next (): number { return this.#next }
  get waiting (): number { return this.#next - this.#fresh }
  get waitingBytes (): number { return this.#waitingBytes }
  get heldBytes (): number { return this.#heldBytes }
  get replaying (): boolean { return this.#cursor < this.#fresh }
  /** Time of the oldest write in the replay log; null when nothing in it may be forgotten. */
  get oldestWrittenAt (): number | null {
    return this.#first < this.#cursor && this.#first < this.#fresh ? this.#writtenAt[this.#first & this.#mask]! : null
  }

  /** Its share of the budget: outboxes that share a frame count equal parts of it. */
  get share (): number {
    let share = 0
    for (let number = this.#first; number < this.#next; number++) share += this.#budget.shareOf(this.at(number))
    return share
  }

  /** Whether there is anything to write: a frame, or the report of a gap. */
  get hasUnwritten (): boolean { return this.#cursor < this.#next || this.#gap !== 0 }

  /** Adds a frame at the end, or replaces the waiting frame of the same key. Returns whether it replaced one. */
  append (frame: Frame): boolean {
    if (frame.key === null) {
      this.#conflatable = this.#next + 1
      if (this.#byKey !== null) this.#byKey = null
    } else {
      const number = this.#find(frame.key)
      if (number !== 0) {
        this.#replace(number, frame)
        return true
      }
      if (this.#byKey !== null) this.#byKey.set(frame.key, this.#next)
    }
    this.#push(frame)
    return false
  }

  #push (frame: Frame): void {
    if (this.#next - this.#first > this.#mask) this.#grow()
    this.#ring[this.#next++ & this.#mask] = frame
    this.#heldBytes += frame.bytes
    this.#waitingBytes += frame.bytes
    this.#budget.hold(frame)
  }

  /** The frame with a number from `first` to `next - 1`. */
  at (number: number): Frame {
    return this.#ring[number & this.#mask]!
  }

  /**
   * The end of the next batch: the number after its last frame. A batch begins at the cursor and
   * has at most `bytes`, or one frame. Each frame counts `overhead` more bytes.
   */
  batchEnd (bytes: number, overhead: number): number {
    let end = this.#cursor
    let left = bytes
    while (end < this.#next) {
      left -= this.at(end).bytes + overhead
      if (left < 0 && end > this.#cursor) break
      end++
    }
    return end
  }

  /** Texts of the frames from `start` to `end - 1`. */
  texts (start: number, end: number): string[] {
    const texts: string[] = []
    for (let number = start; number < end; number++) texts.push(this.at(number).text)
    return texts
  }

  /** Bytes of the frames from `start` to `end - 1`. */
  bytesBetween (start: number, end: number): number {
    let bytes = 0
    for (let number = start; number < end; number++) bytes += this.at(number).bytes
    return bytes
  }

  /** Notes that the frames before `end` were written to the reader at `now`. */
  wrote (end: number, now: number): void {
    this.markWritten(end, now)
    this.trim(now)
  }

  /** The same, but forgets none of them. */
  markWritten (end: number, now: number): void {
    for (let number = Math.max(this.#cursor, this.#fresh); number < end; number++) {
      this.#writtenAt[number & this.#mask] = now
      this.#waitingBytes -= this.at(number).bytes
    }
    this.#cursor = end
    if (end > this.#fresh) this.#fresh = end
    if (this.#byKey !== null && this.#fresh === this.#next) this.#byKey = null
  }

  /** Forgets written frames beyond the limits of the replay log, except frames still to replay. */
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

  /** Forgets the written frames up to a number: the reader has them. */
  acknowledge (number: number): void {
    while (this.#first <= number && this.#first < this.#cursor && this.#first < this.#fresh) this.#forgetFirst()
  }

  /** Number of a frame; 0 if the outbox does not hold it. */
  numberOf (frame: Frame): number {
    for (let number = this.#first; number < this.#next; number++) {
      if (this.at(number) === frame) return number
    }
    return 0
  }

  /** Forgets written frames, the oldest first, until its share is at most `weight`. */
  forgetTo (weight: number): void {
    let { share } = this
    while (share > weight && this.#first < this.#cursor && this.#first < this.#fresh) {
      share -= this.#budget.shareOf(this.at(this.#first))
      this.#forgetFirst()
    }
  }

  /** Drops frames of any zone, the oldest first, until its share is at most `weight`. Returns the number of waiting frames dropped. */
  dropTo (weight: number, note: DropNote | null = null): number {
    let { share } = this
    let number = this.#first
    while (share > weight && number < this.#next) share -= this.#budget.shareOf(this.at(number++))
    return this.dropThrough(number - 1, note)
  }

  /** Drops all frames up to a number. Returns the number of waiting frames dropped. */
  dropThrough (number: number, note: DropNote | null = null): number {
    const dropped = Math.max(0, number + 1 - this.#fresh)
    while (this.#first <= number) {
      if (this.#first === this.#fresh) {
        this.#waitingBytes -= this.at(this.#first).bytes
        note?.(this.at(this.#first))
        this.#fresh++
      }
      this.#forgetFirst()
    }
    this.#skipDropped()
    return dropped
  }

  /** If the reader's next frame was dropped, the reader continues after the gap, and the next write reports the gap. */
  #skipDropped (): void {
    if (this.#cursor >= this.#first) return
    this.#cursor = this.#first
    this.#gap = this.#first - 1
  }

  /**
   * Drops the oldest waiting frames until at most `frames` and `bytes` wait; the
   * newest always stays. All frames before them go too, so that the numbers of the
   * held frames have no hole.
   *
   * @param note gets each of these
   * @returns the number of waiting frames dropped
   */
  dropOldest (frames: number, bytes: number, note: DropNote | null = null): number {
    let dropped = 0
    while (this.waiting > 1 && (this.waiting > frames || this.#waitingBytes > bytes)) {
      while (this.#first <= this.#fresh) {
        if (this.#first === this.#fresh) {
          this.#waitingBytes -= this.at(this.#first).bytes
          note?.(this.at(this.#first))
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

  /** Returns the gap that the caller must now report: the number of the last dropped frame; 0 for no gap. */
  takeGap (): number {
    const gap = this.#gap
    this.#gap = 0
    return gap
  }

  /** Makes everything before the cursor a gap; the next write reports it. */
  announceGap (): void {
    this.#gap = this.#cursor - 1
  }

  /**
   * Notes that updates were lost behind its last frame. They take one number, which the next write reports as a gap. All
   * frames before it go too.
   *
   * @returns the number of waiting frames dropped
   */
  lose (note: DropNote | null = null): number {
    const { waiting } = this
    if (note !== null) for (let number = this.#fresh; number < this.#next; number++) note(this.at(number))
    this.#restartAt(this.#next + 1)
    this.#gap = this.#next - 1
    return waiting
  }

  /** Removes the reader: all written frames now belong to the replay log. */
  detach (now: number): void {
    this.#cursor = this.#fresh
    this.#gap = 0
    this.trim(now)
  }

  /**
   * Sets the cursor for a new reader that has everything up to `number`.
   *
   * @returns the number from which the reader continues: `number` if every later frame
   * is held, otherwise the number before the first held frame.
   */
  resume (number: number, now: number): number {
    this.#cursor = this.#fresh
    this.trim(now)
    this.#gap = 0
    const complete = number >= this.#first - 1 && number < this.#fresh
    this.#cursor = complete ? number + 1 : this.#first
    return this.#cursor - 1
  }

  /**
   * Appends the frames that a log shared with it, by reference. The log's frame n has here the number n + `offset`.
   * Frames between the end of this outbox and the start of the log are forgotten.
   *
   * @param log where the frames are
   * @param from number in the log of the first frame that belongs to this outbox
   * @param written number in the log after the last frame that this reader was sent
   */
  adopt (log: Outbox, from: number, written: number, offset: number, now: number): void {
    const start = Math.max(from, log.#first)
    if (start + offset > this.#next) this.#restartAt(start + offset)
    for (let number = start; number < log.#next; number++) {
      const frame = log.at(number)
      if (frame.key === null) this.#conflatable = this.#next + 1
      this.#push(frame)
      if (number >= written) continue
      this.#writtenAt[this.#fresh++ & this.#mask] = log.#writtenAt[number & log.#mask]!
      this.#waitingBytes -= frame.bytes
    }
    this.#cursor = this.#fresh
    if (start > written) this.announceGap()
    this.trim(now)
  }

  #restartAt (number: number): void {
    this.clear()
    this.#first = this.#cursor = this.#fresh = this.#next = this.#conflatable = number
  }

  /**
   * What it would still hold if `laterFrames` of `laterBytes` were written after its own. Limits of count and size
   * hold; age is left out.
   */
  heldBefore (laterFrames: number, laterBytes: number): { readonly frames: number, readonly bytes: number } {
    const { replayFrames, replayBytes } = this.#limits
    let frames = this.#next - this.#first
    let bytes = this.#heldBytes
    for (let number = this.#first; number < this.#next && (frames + laterFrames > replayFrames || bytes + laterBytes > replayBytes); number++) {
      frames--
      bytes -= this.at(number).bytes
    }
    return { frames, bytes }
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

  /** All held frames at the time `now`, in order: the written ones, then the waiting ones. */
  held (now: number): HeldFrame[] {
    const frames: HeldFrame[] = []
    for (let number = this.#first; number < this.#next; number++) {
      frames.push({ frame: this.at(number), writtenMsAgo: number < this.#fresh ? now - this.#writtenAt[number & this.#mask]! : null })
    }
    return frames
  }

  /** Replaces all contents with frames that another outbox held. It has no reader then. */
  take (first: number, frames: readonly HeldFrame[], now: number): void {
    this.#restartAt(first)
    for (const { frame, writtenMsAgo } of frames) {
      if (frame.key === null) this.#conflatable = this.#next + 1
      this.#push(frame)
      if (writtenMsAgo === null) continue
      this.#writtenAt[this.#fresh++ & this.#mask] = now - writtenMsAgo
      this.#waitingBytes -= frame.bytes
    }
    this.#cursor = this.#fresh
  }

  /**
   * Forgets the written frames, and gives the waiting ones new numbers: those above `number`. For an outbox without a reader.
   *
   * @param from number of the first that counts: those before it are forgotten, too
   * @param isKept whether a frame counts
   */
  liftAbove (number: number, now: number, from = 0, isKept: (frame: Frame) => boolean = () => true): void {
    const waiting = this.held(now).slice(Math.max(this.#fresh, from) - this.#first).filter(({ frame }) => isKept(frame))
    this.take(number + 1, waiting, now)
  }

  /** The outbox as JSON at the time `now`. */
  snapshot (now: number): OutboxSnapshot {
    const frames = this.held(now).map(({ frame: { text, key, isShared }, writtenMsAgo }) => ({ text, key, shared: isShared, writtenMsAgo }))
    return { first: this.#first, cursor: this.#cursor, gap: this.#gap, frames }
  }

  /** Replaces all contents with those of a snapshot. The times of writing count back from `now`. */
  restore ({ first, cursor, gap, frames }: OutboxSnapshot, now: number): void {
    this.take(first, frames.map(({ text, key, shared, writtenMsAgo }) => {
      const frame = new Frame(text, key)
      frame.isShared = shared
      return { frame, writtenMsAgo }
    }), now)
    this.#cursor = cursor
    this.#gap = gap
  }

  /** The number of the waiting frame of a key; 0 for none. */
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
    // The map keeps the keys of written and dropped frames. It is rebuilt when it has too many of them.
    if (this.#byKey === null || this.#byKey.size > 2 * length) {
      this.#byKey = new Map()
      for (let number = start; number < this.#next; number++) this.#byKey.set(this.at(number).key!, number)
    }
    const number = this.#byKey.get(key)
    return number !== undefined && number >= start ? number : 0
  }

  #replace (number: number, frame: Frame): void {
    const old = this.at(number)
    this.#ring[number & this.#mask] = frame
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
    // The session must not keep the large ring of a burst.
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
