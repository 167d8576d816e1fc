import { isInternal } from './channels.ts'
import type { Offset } from './engine.ts'
import type { Clock } from './hub/clock.ts'
import { readBroadcast, unpackEntry, urlOf, type Broadcast, type EntryHead, type ReadEntry } from './log-entry.ts'
import { nodeMark, type LogPosition } from './log-position.ts'
import { LogTail, type MissedBroadcasts, type TailEntry, type TailLimits } from './log-tail.ts'

/** The sessions of one URL, on this node. */
export interface LogSubscriber {
  /** Delivers a broadcast of the entry at a place, by the node `from`. Calls come in the order of the log. */
  deliver: (broadcast: Broadcast, at: Offset, from: string) => void
  /**
   * Broadcasts that should come here in the log are lost. Called once for consecutive losses.
   *
   * @param reason the gravest; `'joined'` where the node begins to read, and nothing is lost that it had
   */
  lost: (reason: LossReason | 'joined') => void
  /** Another node has begun to read, and knows nothing that was there before. */
  newcomer?: () => void
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
  readonly limits: TailLimits
  /** Milliseconds after which an entry cannot come again. */
  readonly forgetMs: number
  /** Milliseconds without an entry after which the log may have forgotten some: those of this node come more often. */
  readonly awayMs: number
  /** Milliseconds from the first `up` within which each node that was there before writes an entry, at the latest. */
  readonly joiningMs: number
  /** An entry of this node is back. Gives its broadcasts, if they are still there. */
  readonly readBack: (counter: number) => readonly Broadcast[] | undefined
  /** A node wrote its first entry that this node sees, perhaps its very first; or its last one. */
  readonly onComing: (node: string, isNew: boolean) => void
  readonly onLeaving: (node: string) => void
  /** Called once for consecutive losses, with the node whose entries are missing; null where nobody knows. */
  readonly onLoss: (reason: LossReason, node: string | null) => void
  /** Delivers a broadcast that has a trace by calling `deliver` once. */
  readonly traced: (broadcast: Broadcast, from: string, deliver: () => void) => void
}

/** From the least grave on. */
const gravity: ReadonlyArray<LossReason | 'joined'> = ['unreadable', 'missing', 'away', 'joined']

/** Nodes that are remembered at least, however old. */
const leastKnown = 64

/** The last entry of a node. */
interface KnownNode {
  readonly mark: string
  counter: number
  seenAt: number
  /** Whether all its entries so far are from before this node began to read. */
  isPast: boolean
}

/** Reads the log: each entry of each node once, in one order, without a hole that is not told. */
export class LogReader {
  readonly #parts: LogReaderParts
  readonly #subscribers = new Map<string, Set<LogSubscriber>>()
  /** The last entry of each node. */
  readonly #known = new Map<string, KnownNode>()
  /** Nodes of which sessions from elsewhere have later entries, by their mark: the engine lost them before this node came to them. */
  readonly #ahead = new Map<string, { readonly counter: number, readonly seenAt: number }>()
  /** Until when unknown nodes may have been there before; null before the first `up`. */
  #joiningUntil: number | null = null
  /** The gravest loss that is still to be told; null for none. */
  #loss: LossReason | 'joined' | null = null
  /** When the node last knew that it misses nothing. */
  #completeAt = 0
  /** Whether the node was away for too long since its last entry. */
  #wasAway = false
  readonly tail: LogTail
  /** The first place in the log that this node has read; null for none. */
  #since: Offset | null = null
  /** The furthest place in the log that this node has read; null for none. */
  passed: Offset | null = null
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
    this.tail = new LogTail(parts.limits)
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
      this.#lose('joined')
    } else this.#checkAway(now, logMs)
    this.#completeAt = now
  }

  /** Nobody may be left whose numbers would show a loss. */
  #checkAway (now: number, mostMs: number): void {
    if (now - this.#completeAt < mostMs) return
    this.#wasAway = true
    this.#note('away', null)
  }

  /** The log is empty: whatever comes is new. */
  forgot (): void {
    this.#since = null
  }

  entry (at: Offset, bytes: Buffer): void {
    const { node: own, clock, readBack, onComing, onLeaving } = this.#parts
    this.#since ??= at
    if (this.passed === null || at > this.passed) this.passed = at
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
    // A new connection reads from further back. What was there before this node is not for its sessions, or they have it from another node.
    if (at < this.#since && known?.isPast !== false) return this.#notePast(entry, known)
    if (this.#joiningUntil !== null) this.#checkAway(now, this.#parts.awayMs)
    const mark = known?.mark ?? nodeMark(node)
    const missed = known === undefined ? counter > 1 && now > (this.#joiningUntil ?? 0) : counter > known.counter + 1
    // Sessions that came here have it. Nobody delivers it to the others alone.
    const isAhead = this.#ahead.size > 0 && this.#isAhead(mark, counter)
    if (isAhead) this.duplicates++
    if (missed || isAhead) this.#note('missing', node)
    const isComing = known?.isPast !== false
    if (known === undefined) this.#know(node, { mark, counter, seenAt: now, isPast: false })
    else Object.assign(known, { counter, seenAt: now, isPast: false })
    if (isComing && node !== own) {
      onComing(node, counter === 1)
      for (const subscribers of this.#subscribers.values()) for (const subscriber of subscribers) subscriber.newcomer?.()
    }
    this.#completeAt = now
    this.entries++
    const read: ReadonlyArray<Broadcast | null | undefined> = (node === own ? readBack(counter) : undefined) ?? this.#read(entry)
    const isLossy = this.#wasAway || read.includes(undefined)
    this.#wasAway = false
    this.tail.push({ at, node: mark, counter, broadcasts: read.map((broadcast) => broadcast ?? null), bytes: bytes.length, isLossy, isAfterHole: missed })
    markFrames(read)
    for (const broadcast of isAhead ? [] : read) {
      if (broadcast === undefined) this.#refuse(entry)
      else if (broadcast !== null) this.#deliver(this.#subscribers.get(broadcast.url), broadcast, at, node)
    }
    if (entry.isLast && node !== own) onLeaving(node)
  }

  /** The broadcasts of an entry: null for those of other URLs, undefined for those that are refused. */
  #read (entry: ReadEntry): Array<Broadcast | null | undefined> {
    if (entry.urls === null) return [undefined]
    return entry.items.map((item) => {
      const url = urlOf(entry, item)
      if (url === null) return undefined
      return this.#subscribers.has(url) ? readBroadcast(url, item) ?? undefined : null
    })
  }

  #deliver (subscribers: ReadonlySet<LogSubscriber> | undefined, broadcast: Broadcast, at: Offset, from: string): void {
    if (subscribers === undefined) return
    this.#tellLoss()
    if (!isInternal(broadcast.url)) this.frames++
    if (broadcast.trace !== undefined) return this.#parts.traced(broadcast, from, () => { deliverTo(subscribers, broadcast, at, from) })
    deliverTo(subscribers, broadcast, at, from)
  }

  #refuse ({ node }: ReadEntry): void {
    this.rejected++
    this.#note('unreadable', node)
  }

  #note (reason: LossReason, node: string | null): void {
    if (this.#loss === null) {
      this.losses++
      this.#parts.onLoss(reason, node)
    }
    this.#lose(reason)
  }

  /** Tells losses without a delivery between them once: before the next delivery, or in the next turn. */
  #lose (reason: LossReason | 'joined'): void {
    if (this.#loss === null) this.#parts.clock.defer(() => { this.#tellLoss() })
    if (this.#loss === null || gravity.indexOf(reason) > gravity.indexOf(this.#loss)) this.#loss = reason
  }

  #tellLoss (): void {
    const reason = this.#loss
    if (reason === null) return
    this.#loss = null
    for (const subscribers of this.#subscribers.values()) for (const subscriber of subscribers) subscriber.lost(reason)
  }

  // For sessions that move

  /** How far this node has read, after it has told all losses; null before its first entry. */
  position (): LogPosition | null {
    this.#tellLoss()
    const { last: at, beforeLast: before } = this.tail
    return at === null ? null : { at, before, known: this.#latest(this.#parts.clock.now() - this.#parts.forgetMs) }
  }

  /**
   * Goes through what a reader at `position` has not read. All of that must be in the tail. This node must have read past the position,
   * or the log no longer have it: what that reader has and this one has not is not delivered here later.
   */
  replay (position: LogPosition, missed: MissedBroadcasts): void {
    this.#tellLoss()
    const latest = this.#latest(-Infinity)
    this.tail.replay(position, latest, missed)
    if (this.#wasAway) missed.lost()
    for (const [mark, counter] of Object.entries(position.known)) if (counter > (latest[mark] ?? 0)) this.#noteAhead(mark, counter)
  }

  #noteAhead (mark: string, counter: number): void {
    const now = this.#parts.clock.now()
    this.#ahead.set(mark, { counter: Math.max(counter, this.#ahead.get(mark)?.counter ?? 0), seenAt: now })
    if (this.#ahead.size <= leastKnown) return
    for (const [mark, { seenAt }] of this.#ahead) if (now - seenAt > this.#parts.forgetMs) this.#ahead.delete(mark)
  }

  /** Whether a session that came here has an entry of a node. The next one of that node is asked for later. */
  #isAhead (mark: string, counter: number): boolean {
    const ahead = this.#ahead.get(mark)
    if (ahead === undefined) return false
    if (counter >= ahead.counter) this.#ahead.delete(mark)
    return counter <= ahead.counter
  }

  #latest (since: number): Record<string, number> {
    const latest: Record<string, number> = {}
    for (const { mark, counter, seenAt } of this.#known.values()) if (seenAt >= since) latest[mark] = counter
    return latest
  }

  /** Reads older entries for the tail, those that it does not have. */
  older (entries: ReadonlyArray<{ readonly at: Offset, readonly bytes: Buffer }>): TailEntry[] {
    const found: TailEntry[] = []
    for (const { at, bytes } of entries) {
      const entry = unpackEntry(bytes)
      if (entry === null) continue
      const known = this.#known.get(entry.node)
      const mark = known?.mark ?? nodeMark(entry.node)
      // Its node may write it again, and the sessions that come here have it then.
      if (this.#since !== null && at < this.#since) this.#notePast(entry, known)
      if (this.tail.has(mark, entry.counter)) continue
      const read = this.#read(entry)
      markFrames(read)
      found.push({ at, node: mark, counter: entry.counter, broadcasts: read.map((broadcast) => broadcast ?? null), bytes: bytes.length, isLossy: read.includes(undefined), isAfterHole: false })
    }
    return found
  }

  /** An entry is from before this node began to read. */
  #notePast ({ node, counter }: EntryHead, known: KnownNode | undefined): void {
    if (known === undefined) this.#know(node, { mark: nodeMark(node), counter, seenAt: this.#parts.clock.now(), isPast: true })
    else if (known.isPast) known.counter = Math.max(known.counter, counter)
  }

  /** Remembers a node, and forgets those whose entries cannot come again. */
  #know (node: string, { seenAt: now, ...known }: KnownNode): void {
    this.#known.set(node, { seenAt: now, ...known })
    if (this.#known.size <= leastKnown) return
    for (const [node, { seenAt }] of this.#known) if (now - seenAt > this.#parts.forgetMs) this.#known.delete(node)
  }
}

function markFrames (broadcasts: ReadonlyArray<Broadcast | null | undefined>): void {
  for (const broadcast of broadcasts) if (broadcast) broadcast.frame.isOfLog = true
}

function deliverTo (subscribers: ReadonlySet<LogSubscriber>, broadcast: Broadcast, at: Offset, from: string): void {
  for (const subscriber of subscribers) subscriber.deliver(broadcast, at, from)
}
