import type { Deadline, DeadlineQueue } from '../delivery/deadline-queue.ts'
import { DeadlineTable } from '../delivery/deadline-table.ts'

/** Looks at a full carrier's progress per `stallTimeoutMs`, so a stall is noticed a quarter of that time late at most. */
const stallLooks = 4

/** The stream of a clock. */
export interface TimedStream {
  /** Bytes that the peer has not taken yet. */
  readonly queuedBytes: number
  /** Time at which the pace lets the waiting updates leave; `Infinity` when none wait. */
  readonly paceAt: number
  /** Time of the last write that others made to the carrier; 0 for none. */
  readonly sharedWriteAt: number
  /** Nothing was written for `heartbeatMs`. */
  onQuiet: (now: number) => void
  /** The pace allows the next write of updates. */
  onPace: (now: number) => void
  /** The peer took nothing for `stallTimeoutMs`. */
  onStalled: () => void
  /** The time to close has run out. */
  onLate: () => void
}

/** Intervals of a stream, in milliseconds; 0 for none. */
export interface ClockOptions {
  readonly heartbeatMs: number
  readonly stallTimeoutMs: number
}

/** A full carrier's progress. */
interface Progress {
  /** Time of the last progress seen. */
  at: number
  /** Bytes queued at that time. */
  queuedBytes: number
  /** Time of the next look; `Infinity` while the carrier takes bytes. */
  lookAt: number
}

/** Every deadline of one stream. */
export class StreamClock implements Deadline {
  static readonly #table = new DeadlineTable<StreamClock>({
    close: { at: (clock) => clock.#closeAt, act: (clock) => { clock.#stream.onLate() } },
    stall: { at: (clock) => clock.#progress === null ? Infinity : clock.#progress.lookAt, act: (clock, now) => { clock.#look(clock.#progress!, now) } },
    heartbeat: { at: (clock) => clock.#beatAt, act: (clock, now) => { clock.#stream.onQuiet(now) } },
    pace: { at: (clock) => clock.#isIdle ? clock.#stream.paceAt : Infinity, act: (clock, now) => { clock.#stream.onPace(now) } }
  })

  dueAt = 0
  heapIndex = -1
  readonly #queue: DeadlineQueue
  readonly #stream: TimedStream
  readonly #options: ClockOptions
  #isFull = false
  #closeAt = Infinity
  /** Time of the last write or drain, when the peer last heard from the stream. */
  #quietSince: number
  /** Null for most streams, whose carriers are never full. */
  #progress: Progress | null = null

  constructor (queue: DeadlineQueue, stream: TimedStream, options: ClockOptions, now: number) {
    this.#queue = queue
    this.#stream = stream
    this.#options = options
    this.#quietSince = now
    this.#schedule()
  }

  wrote (now: number): void {
    // A write only moves a deadline to a later time, so the queue need not know.
    if (now > this.#quietSince) this.#quietSince = now
  }

  /** The carrier takes no more. */
  filled (now: number): void {
    this.#isFull = true
    const { stallTimeoutMs } = this.#options
    if (stallTimeoutMs === 0) return
    const lookAt = now + stallTimeoutMs / stallLooks
    const progress = this.#progress ??= { at: now, queuedBytes: 0, lookAt }
    progress.at = now
    progress.queuedBytes = this.#stream.queuedBytes
    progress.lookAt = lookAt
    this.#schedule()
  }

  /** The carrier takes bytes again. */
  drained (now: number): void {
    this.#isFull = false
    if (this.#progress !== null) this.#progress.lookAt = Infinity
    this.#quietSince = now
    this.#schedule()
  }

  /** Sets a deadline for the close; the earliest holds. */
  closeBy (at: number): void {
    this.#closeAt = Math.min(this.#closeAt, at)
    this.#schedule()
  }

  /** Updates have begun to wait for their pace. */
  paced (): void {
    this.#schedule()
  }

  due (now: number): void {
    StreamClock.#table.run(this, now)
    this.#schedule()
  }

  /** Ends all deadlines of a stream that is gone, even if the queue has taken its entry out already. */
  destroy (): void {
    this.#isFull = true
    this.#closeAt = Infinity
    this.#progress = null
    this.#queue.remove(this)
  }

  #schedule (): void {
    this.#queue.set(this, StreamClock.#table.next(this))
  }

  /** Whether the carrier takes bytes and no close has begun. */
  get #isIdle (): boolean {
    return !this.#isFull && this.#closeAt === Infinity
  }

  get #beatAt (): number {
    const { heartbeatMs } = this.#options
    return heartbeatMs > 0 && this.#isIdle ? Math.max(this.#quietSince, this.#stream.sharedWriteAt) + heartbeatMs : Infinity
  }

  #look (progress: Progress, now: number): void {
    const { stallTimeoutMs } = this.#options
    const queued = this.#stream.queuedBytes
    if (queued !== progress.queuedBytes) {
      progress.queuedBytes = queued
      progress.at = now
    } else if (now - progress.at >= stallTimeoutMs) {
      this.#stream.onStalled()
      return
    }
    progress.lookAt = now + stallTimeoutMs / stallLooks
  }
}
