import type { Clock } from './hub/clock.ts'
import { readBroadcast, unpackEntry, urlOf, type Broadcast, type ReadEntry } from './log-entry.ts'

/** The sessions of one URL, on this node. */
export interface LogSubscriber {
  /** Delivers a broadcast. Calls come in the order of the log. */
  deliver: (broadcast: Broadcast) => void
  /** Broadcasts that should come here in the log are lost. */
  lost: () => void
}

/** Why broadcasts were lost. */
export type LossReason =
  /** Numbers of a node's entries are missing: the log forgot them, or their node dropped them. */
  | 'missing'
  /** The node could not read the log for longer than the log keeps entries. */
  | 'away'
  /** What a node wrote is not allowed, or is of a later format. */
  | 'unreadable'

export interface LogReaderParts {
  readonly node: string
  readonly clock: Clock
  /** Milliseconds after which an entry cannot come again. */
  readonly forgetMs: number
  /** Milliseconds from the first `up` within which each node that was there before writes an entry, at the latest. */
  readonly joiningMs: number
  /** An entry of this node is back. Gives its broadcasts, if they are still there. */
  readonly readBack: (counter: number) => readonly Broadcast[] | undefined
  /** A node wrote its first entry that this node sees, perhaps its very first; or its last one. */
  readonly onComing: (node: string, isNew: boolean) => void
  readonly onLeaving: (node: string) => void
  /** Called once for consecutive losses, with the node whose entries are missing; null where nobody knows. */
  readonly onLoss: (reason: LossReason, node: string | null) => void
}

/** Nodes that are remembered at least, however old. */
const leastKnown = 64

/** Reads the log: each entry of each node once, in one order, without a hole that is not told. */
export class LogReader {
  readonly #parts: LogReaderParts
  readonly #subscribers = new Map<string, Set<LogSubscriber>>()
  /** The last entry of each node. */
  readonly #known = new Map<string, { counter: number, seenAt: number }>()
  /** Until when unknown nodes may have been there before; null before the first `up`. */
  #joiningUntil: number | null = null
  #hasLoss = false
  /** When the node last knew that it misses nothing. */
  #completeAt = 0
  /** Entries and broadcasts that were delivered. */
  entries = 0
  frames = 0
  /** Entries that came again. */
  duplicates = 0
  /** Entries and broadcasts that were refused. */
  rejected = 0
  losses = 0

  constructor (parts: LogReaderParts) {
    this.#parts = parts
  }

  subscribe (url: string, subscriber: LogSubscriber): void {
    const found = this.#subscribers.get(url)
    if (found === undefined) this.#subscribers.set(url, new Set([subscriber]))
    else found.add(subscriber)
  }

  /** Every entry from now on will come. */
  up (logMs: number): void {
    const now = this.#parts.clock.now()
    if (this.#joiningUntil === null) {
      this.#joiningUntil = now + this.#parts.joiningMs
      // Sessions that opened before may have missed something.
      this.#lose()
    } else if (now - this.#completeAt >= logMs) this.#note('away', null)
    this.#completeAt = now
  }

  entry (bytes: Buffer): void {
    const { node: own, clock, readBack, onComing, onLeaving } = this.#parts
    const entry = unpackEntry(bytes)
    if (entry === null) {
      this.rejected++
      return
    }
    const { node, counter } = entry
    const now = clock.now()
    const known = this.#known.get(node)
    if (known !== undefined && counter <= known.counter) {
      this.duplicates++
      return
    }
    const missed = known === undefined ? counter > 1 && now > (this.#joiningUntil ?? 0) : counter > known.counter + 1
    if (missed) this.#note('missing', node)
    if (known === undefined) {
      this.#known.set(node, { counter, seenAt: now })
      this.#forget(now)
      if (node !== own) onComing(node, counter === 1)
    } else {
      known.counter = counter
      known.seenAt = now
    }
    this.#completeAt = now
    this.entries++
    if (node === own) this.#deliverOwn(entry, readBack(counter))
    else this.#deliverAll(entry)
    if (entry.isLast && node !== own) onLeaving(node)
  }

  #deliverOwn (entry: ReadEntry, broadcasts: readonly Broadcast[] | undefined): void {
    // The frames are still there, so they need not be read from the entry.
    if (broadcasts === undefined) this.#deliverAll(entry)
    else for (const broadcast of broadcasts) this.#deliver(this.#subscribers.get(broadcast.url), broadcast)
  }

  #deliverAll (entry: ReadEntry): void {
    if (entry.urls === null) return this.#refuse(entry)
    for (const item of entry.items) {
      const url = urlOf(entry, item)
      if (url === null) {
        this.#refuse(entry)
        continue
      }
      const subscribers = this.#subscribers.get(url)
      if (subscribers === undefined) continue
      const broadcast = readBroadcast(url, item)
      if (broadcast === null) this.#refuse(entry)
      else this.#deliver(subscribers, broadcast)
    }
  }

  #deliver (subscribers: ReadonlySet<LogSubscriber> | undefined, broadcast: Broadcast): void {
    if (subscribers === undefined) return
    this.#tellLoss()
    this.frames++
    for (const subscriber of subscribers) subscriber.deliver(broadcast)
  }

  #refuse ({ node }: ReadEntry): void {
    this.rejected++
    this.#note('unreadable', node)
  }

  #note (reason: LossReason, node: string | null): void {
    if (this.#hasLoss) return
    this.losses++
    this.#parts.onLoss(reason, node)
    this.#lose()
  }

  /** Losses without a delivery between them are told once: before the next delivery, or in the next turn. */
  #lose (): void {
    this.#hasLoss = true
    this.#parts.clock.defer(() => { this.#tellLoss() })
  }

  #tellLoss (): void {
    if (!this.#hasLoss) return
    this.#hasLoss = false
    for (const subscribers of this.#subscribers.values()) for (const subscriber of subscribers) subscriber.lost()
  }

  /** Forgets nodes whose entries cannot come again. */
  #forget (now: number): void {
    if (this.#known.size <= leastKnown) return
    for (const [node, { seenAt }] of this.#known) if (now - seenAt > this.#parts.forgetMs) this.#known.delete(node)
  }
}
