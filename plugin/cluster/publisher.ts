import { EngineError } from '../../schemas/errors.ts'
import type { Clock } from './hub/clock.ts'
import { packEntry, type Broadcast } from './log-entry.ts'

export interface PublisherLimits {
  /** Most broadcasts of this node that are not back from the log, and their bytes. */
  readonly queueFrames: number
  readonly queueBytes: number
  /** Most broadcasts of one entry, and their bytes. A single larger broadcast has an entry for itself. */
  readonly entryFrames: number
  readonly entryBytes: number
  /** Most entries in the log that are not back. */
  readonly unreadEntries: number
  /** Least and greatest milliseconds until a failed entry is written again. */
  readonly retryMs: number
  readonly maxRetryMs: number
  /** How often the engine may refuse a single broadcast of more than `entryBytes`. */
  readonly largeAttempts: number
  /** Milliseconds after which a written entry that is not back holds up no further entries. */
  readonly missingMs: number
}

export interface PublisherParts {
  readonly node: string
  readonly limits: PublisherLimits
  readonly clock: Clock
  readonly append: (entry: Buffer) => Promise<void>
  /** The engine cannot take a broadcast of this size. All nodes lose it. */
  readonly onTooLarge: (broadcast: Broadcast, error: unknown) => void
}

interface Entry {
  readonly counter: number
  readonly bytes: Buffer
  readonly broadcasts: readonly Broadcast[]
  readonly weight: number
  /** The number of the last broadcast up to this entry. */
  readonly upTo: number
  /** When it was first written; 0 before. */
  sentAt: number
  attempts: number
}

/** Memory of a broadcast, in addition to its bytes. */
const itemBytes = 128

/**
 * Brings the broadcasts of one node into the log, in the order of the calls.
 *
 * ```
 *   #unread, not back from the log     #waiting, in no entry yet
 *   │ written  │ to write, the first perhaps in flight │
 * ```
 *
 * One entry is in flight at a time, and the next one collects what is called meanwhile. So an entry that fails
 * never overtakes or follows a later one, and a missing number means a loss. An entry without an answer is written
 * again, so that it may be in the log twice; its readers keep the first. An entry that was acknowledged is not: if the
 * engine loses it, its number is missing. Written again, it would have another place on nodes that had read it.
 */
export class Publisher {
  readonly #parts: PublisherParts
  #waiting: Broadcast[] = []
  /** Broadcasts at the head of `#waiting` that are gone already. */
  #head = 0
  #waitingBytes = 0
  readonly #unread: Entry[] = []
  #unreadFrames = 0
  #unreadBytes = 0
  /** How many of `#unread` are written. */
  #sent = 0
  /** Identifies the attempt in flight; 0 for none. */
  #inFlight = 0
  #attempts = 0
  #counter = 0
  /** Broadcasts so far, and those of them in entries. */
  #called = 0
  #packed = 0
  /** Whether broadcasts were dropped before the next entry. */
  #hasDropped = false
  #beat: 'none' | 'due' | 'last' = 'none'
  #packedSinceBeat = false
  #isUp = false
  #isClosed = false
  #isScheduled = false
  #retry: unknown
  #retryMs: number
  #syncing: Array<{ readonly upTo: number, readonly resolve: () => void, readonly reject: (error: Error) => void }> = []
  /** What waits for the entry of a number, or a later one, to come back. In the order of these numbers. */
  readonly #laps: Array<{ readonly counter: number, readonly isBack: Promise<void>, readonly settle: () => void }> = []
  #onEmpty: (() => void) | null = null
  #lastLagMs = 0
  /** Broadcasts dropped over a limit. */
  dropped = 0

  constructor (parts: PublisherParts) {
    this.#parts = parts
    this.#retryMs = parts.limits.retryMs
  }

  /** Broadcasts that are not back from the log. */
  get frames (): number { return this.#waiting.length - this.#head + this.#unreadFrames }
  /** Bytes of these. */
  get bytes (): number { return this.#waitingBytes + this.#unreadBytes }
  get called (): number { return this.#called }

  /** Milliseconds since the first write of the oldest entry that is not back; 0 for none. */
  get waitedMs (): number {
    const [oldest] = this.#unread
    return oldest === undefined || oldest.sentAt === 0 ? 0 : this.#parts.clock.now() - oldest.sentAt
  }

  /** Milliseconds from the write of an entry until it came back: of the oldest that is still away, or of the last one. */
  get lagMs (): number { return Math.max(this.#lastLagMs, this.waitedMs) }

  /** Queues a broadcast. Beyond a limit, the oldest that is in no entry yet is dropped, and all nodes learn of the gap. */
  publish (broadcast: Broadcast): void {
    if (this.#isClosed) return
    this.#called++
    this.#waiting.push(broadcast)
    this.#waitingBytes += weightOf(broadcast)
    const { queueFrames, queueBytes } = this.#parts.limits
    while (this.#waiting.length - this.#head > 1 && (this.frames > queueFrames || this.bytes > queueBytes)) this.#drop()
    this.#schedule()
  }

  #drop (): void {
    this.#waitingBytes -= weightOf(this.#waiting[this.#head]!)
    this.#advance(this.#head + 1)
    this.#hasDropped = true
    this.dropped++
  }

  #advance (head: number): void {
    this.#head = head
    if (head < 1_024 && head < this.#waiting.length) return
    this.#waiting = this.#waiting.slice(head)
    this.#head = 0
  }

  /**
   * Writes an entry without broadcasts, so that others notice a lost entry.
   *
   * @param always also if there was another entry since the last beat
   */
  beat (always = false): void {
    if ((always || !this.#packedSinceBeat) && this.#beat === 'none') this.#beat = 'due'
    this.#packedSinceBeat = false
    this.#pump()
  }

  /** The engine answers. The entry without an answer is written again. */
  up (): void {
    this.#isUp = true
    this.#forgetAttempt()
    this.#pump()
  }

  down (): void {
    this.#isUp = false
    this.#forgetAttempt()
  }

  #forgetAttempt (): void {
    this.#inFlight = 0
    this.#retryMs = this.#parts.limits.retryMs
    this.#parts.clock.clearTimeout(this.#retry)
    this.#retry = undefined
  }

  /** An entry of this node came back from the log, with a number for the first time. Gives its broadcasts. */
  readBack (counter: number): readonly Broadcast[] | undefined {
    let found: Entry | undefined
    while (this.#unread.length > 0 && this.#unread[0]!.counter <= counter) {
      const entry = this.#unread.shift()!
      this.#unreadFrames -= entry.broadcasts.length
      this.#unreadBytes -= entry.weight
      if (this.#sent > 0) this.#sent--
      // It is in the log: its answer no longer matters.
      else if (this.#inFlight !== 0) this.#inFlight = 0
      if (entry.counter !== counter) continue
      found = entry
      this.#lastLagMs = this.#parts.clock.now() - entry.sentAt
    }
    if (found !== undefined) this.#settleSync(found.upTo)
    while (this.#laps.length > 0 && this.#laps[0]!.counter <= counter) this.#laps.shift()!.settle()
    this.#schedule()
    this.#checkEmpty()
    return found?.broadcasts
  }

  /** Resolves when all broadcasts so far are back from the log, or lost. */
  synced (): Promise<void> {
    if (this.frames === 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(left())
      this.#syncing.push({ upTo: this.#called, resolve, reject })
    })
  }

  #settleSync (upTo: number): void {
    while (this.#syncing.length > 0 && this.#syncing[0]!.upTo <= upTo) this.#syncing.shift()!.resolve()
  }

  /** Writes an entry, and resolves when it is back: then this node has read all that was in the log before the call. Never, if the node leaves. */
  lap (): Promise<void> {
    const counter = this.#counter + 1
    let lap = this.#laps.at(-1)
    if (lap?.counter !== counter) {
      let settle = () => {}
      const isBack = new Promise<void>((resolve) => { settle = resolve })
      this.#laps.push(lap = { counter, isBack, settle })
    }
    this.beat(true)
    return lap.isBack
  }

  /** Writes what waits, within a time, and says that no more will come. */
  async leave (withinMs: number): Promise<void> {
    if (this.#isClosed) return
    this.#beat = 'last'
    const { clock } = this.#parts
    await new Promise<void>((resolve) => {
      const timer = clock.setTimeout(resolve, withinMs)
      this.#onEmpty = () => {
        clock.clearTimeout(timer)
        resolve()
      }
      this.#pump()
      this.#checkEmpty()
    })
    this.#isClosed = true
    this.#parts.clock.clearTimeout(this.#retry)
    for (const { reject } of this.#syncing.splice(0)) reject(left())
  }

  #checkEmpty (): void {
    if (this.#onEmpty === null || this.#waiting.length > this.#head) return
    // Nobody waits for a farewell that cannot be written.
    const isWritten = this.#isUp ? this.#beat === 'none' && this.#sent === this.#unread.length : this.#unreadFrames === 0
    if (!isWritten) return
    this.#onEmpty()
    this.#onEmpty = null
  }

  /** All broadcasts of a turn of the event loop go together. */
  #schedule (): void {
    if (this.#isScheduled || !this.#isUp || (this.#waiting.length === this.#head && this.#sent === this.#unread.length && this.#beat === 'none')) return
    this.#isScheduled = true
    this.#parts.clock.defer(() => {
      this.#isScheduled = false
      this.#pump()
    })
  }

  #pump (): void {
    if (!this.#isUp || this.#isClosed || this.#inFlight !== 0 || this.#retry !== undefined) return
    if (this.#sent === this.#unread.length && !this.#pack()) return
    const entry = this.#unread[this.#sent]!
    const attempt = this.#inFlight = ++this.#attempts
    entry.attempts++
    if (entry.sentAt === 0) entry.sentAt = this.#parts.clock.now()
    this.#parts.append(entry.bytes).then(
      () => { if (attempt === this.#inFlight) this.#wrote() },
      (error: unknown) => { if (attempt === this.#inFlight) this.#failed(entry, error) }
    )
  }

  #wrote (): void {
    this.#inFlight = 0
    this.#sent++
    this.#retryMs = this.#parts.limits.retryMs
    this.#checkEmpty()
    this.#pump()
  }

  #failed (entry: Entry, error: unknown): void {
    const { limits, clock, onTooLarge } = this.#parts
    this.#inFlight = 0
    const [broadcast] = entry.broadcasts
    if (broadcast !== undefined && entry.weight > limits.entryBytes && entry.attempts >= limits.largeAttempts) {
      // The next entry has a later number, so that all nodes learn of the gap.
      this.#unread.splice(this.#sent, 1)
      this.#unreadFrames--
      this.#unreadBytes -= entry.weight
      this.dropped++
      if (this.#beat === 'none') this.#beat = 'due'
      onTooLarge(broadcast, error)
    }
    this.#retry = clock.setTimeout(() => {
      this.#retry = undefined
      this.#pump()
    }, this.#retryMs)
    this.#retryMs = Math.min(2 * this.#retryMs, limits.maxRetryMs)
  }

  /** Makes the next entry. Returns false if there is nothing to write, or too much is not back. */
  #pack (): boolean {
    const { node, limits } = this.#parts
    const isIdle = this.#waiting.length === this.#head
    if (isIdle && this.#beat === 'none') return false
    if (this.#unread.length >= limits.unreadEntries && this.waitedMs < limits.missingMs) return false
    let end = this.#head
    let weight = 0
    while (end < this.#waiting.length && end - this.#head < limits.entryFrames) {
      const more = weightOf(this.#waiting[end]!)
      if (end > this.#head && weight + more > limits.entryBytes) break
      weight += more
      end++
    }
    const broadcasts = this.#waiting.slice(this.#head, end)
    const isLast = this.#beat === 'last' && end === this.#waiting.length
    this.#advance(end)
    this.#waitingBytes -= weight
    // The missing number tells all readers where broadcasts were lost.
    if (this.#hasDropped) this.#counter++
    this.#hasDropped = false
    const counter = ++this.#counter
    this.#packed = this.#called - (this.#waiting.length - this.#head)
    this.#unread.push({ counter, bytes: packEntry({ node, counter }, broadcasts, isLast), broadcasts, weight, upTo: this.#packed, sentAt: 0, attempts: 0 })
    this.#unreadFrames += broadcasts.length
    this.#unreadBytes += weight
    if (isLast || this.#beat === 'due') this.#beat = 'none'
    this.#packedSinceBeat = true
    return true
  }
}

function weightOf ({ frame, trace }: Broadcast): number {
  return frame.bytes + itemBytes + (trace === undefined ? 0 : trace.length)
}

function left (): Error {
  return new EngineError('was left')
}
