import type { Frame } from '../protocol/frame.ts'
import type { Offset } from './engine.ts'
import type { Broadcast } from './log-entry.ts'
import type { BroadcastPlace, LogPosition } from './log-position.ts'

/** An entry of the log, as this node has read it. */
export interface TailEntry {
  readonly at: Offset
  /** The mark of the node that wrote it. */
  readonly node: string
  readonly counter: number
  /** By their index in the entry; null where no session here can get it. */
  readonly broadcasts: ReadonlyArray<Broadcast | null>
  readonly bytes: number
  /** Whether something was lost before it or in it that the numbers of entries do not show. */
  readonly isLossy: boolean
  /** Whether an entry of its node is missing before it, as far as this node knows. */
  readonly isAfterHole: boolean
}

/** An entry in the tail. */
interface Held extends TailEntry {
  /** The place in the log of the entry that was read before it; null where that is not known. */
  readonly before: Offset | null
}

/** What a session missed while it moved, in the order of the log. */
export interface MissedBroadcasts {
  deliver: (broadcast: Broadcast) => void
  /** Broadcasts are lost here. */
  lost: () => void
  /** An entry ends. */
  pause: () => void
}

export interface TailLimits {
  readonly logTailEntries: number
  readonly logTailBytes: number
}

/** Memory of an entry, in addition to its bytes. */
const entryBytes = 200

/**
 * The latest part of the log, kept for sessions that come from other nodes, and for the places of broadcasts that sessions
 * hold. It has no hole from its first entry on, other than what this node lost. It grows at its end with each entry that is
 * read, and at its front where a session needs older entries; beyond its limits the oldest go.
 */
export class LogTail {
  readonly #limits: TailLimits
  #entries: Held[] = []
  /** Entries at the head of `#entries` that are gone already. */
  #head = 0
  #bytes = 0
  /** The entry of each node's number. */
  readonly #byNumber = new Map<string, Map<number, Held>>()
  /** The entries of frames; made at the first look-up, and kept up to date from then on. */
  #places: Map<Frame, TailEntry> | null = null
  /** The place in the log of the last entry that was read, and of the one before. */
  #last: Offset | null = null
  #beforeLast: Offset | null = null

  constructor (limits: TailLimits) {
    this.#limits = limits
  }

  get length (): number { return this.#entries.length - this.#head }
  get bytes (): number { return this.#bytes }
  /** The last entry that was read; null for none. */
  get last (): Offset | null { return this.#last }
  /** The entry before that one; null for none. */
  get beforeLast (): Offset | null { return this.#beforeLast }
  /** The oldest entry that it holds; null for none. */
  get first (): Offset | null { return this.#entries[this.#head]?.at ?? null }

  /** Adds the entry that was read next. */
  push (entry: TailEntry): void {
    const held = { ...entry, before: this.#last }
    this.#beforeLast = this.#last
    this.#last = entry.at
    this.#entries.push(held)
    this.#index(held)
    this.#trim()
  }

  /** Adds older entries before all others. The next {@link push} drops what is beyond the limits. */
  prepend (entries: readonly TailEntry[]): void {
    const older = entries.map((entry, index) => ({ ...entry, before: entries[index - 1]?.at ?? null }))
    this.#entries = [...older, ...this.#entries.slice(this.#head)]
    this.#head = 0
    for (const entry of older) this.#index(entry)
  }

  has (node: string, counter: number): boolean {
    return this.#byNumber.get(node)?.has(counter) === true
  }

  /** Whether it has every entry behind a place in the log. */
  covers (at: Offset): boolean {
    const { first } = this
    return first !== null && first <= at
  }

  /** Where the log has a frame; null if the tail does not hold it. */
  placeOf (frame: Frame): BroadcastPlace | null {
    if (this.#places === null) {
      this.#places = new Map()
      for (let number = this.#head; number < this.#entries.length; number++) this.#place(this.#entries[number]!)
    }
    const entry = this.#places.get(frame)
    if (entry === undefined) return null
    const { node, counter } = entry
    return { node, counter, index: entry.broadcasts.findIndex((broadcast) => broadcast?.frame === frame) }
  }

  /** The frame at a place; null if the tail does not hold it. */
  frameAt ({ node, counter, index }: BroadcastPlace): Frame | null {
    return this.#byNumber.get(node)?.get(counter)?.broadcasts[index]?.frame ?? null
  }

  /** The entry in the log before that of a place; null where the tail does not know. */
  before ({ node, counter }: BroadcastPlace): Offset | null {
    return this.#byNumber.get(node)?.get(counter)?.before ?? null
  }

  /**
   * Goes through what a reader at `position` has not read.
   *
   * @param latest number of the last entry that this node read of each node, by its mark
   */
  replay (position: LogPosition, latest: Readonly<Record<string, number>>, missed: MissedBroadcasts): void {
    const expected = new Map(Object.entries(position.known))
    for (const { entry, isOvertaken } of this.#unknownTo(position, latest)) {
      const last = expected.get(entry.node)
      expected.set(entry.node, entry.counter)
      if (isOvertaken) {
        missed.lost()
        continue
      }
      // The reader's own numbers are exact. What this node missed, that reader may have.
      const isAfterHole = last === undefined ? entry.isAfterHole : entry.counter > last + 1
      if (isAfterHole || entry.isLossy) missed.lost()
      for (const broadcast of entry.broadcasts) if (broadcast !== null) missed.deliver(broadcast)
      missed.pause()
    }
  }

  /**
   * In a failover of an engine, two nodes may read entries in different orders. So all that is unknown is counted, and found. What the
   * engine lost before the reader came to it stands here before entries that the reader has: it would come out of order.
   */
  #unknownTo (position: LogPosition, latest: Readonly<Record<string, number>>): Array<{ readonly entry: TailEntry, readonly isOvertaken: boolean }> {
    let missing = 0
    for (const [node, number] of Object.entries(position.known)) missing += Math.max(0, (latest[node] ?? 0) - number)
    const unknown: Array<{ readonly entry: TailEntry, readonly isOvertaken: boolean }> = []
    let hasKnown = false
    for (let number = this.#entries.length - 1; number >= this.#head; number--) {
      const entry = this.#entries[number]!
      const isBehind = entry.at > position.at
      if (missing <= 0 && !isBehind) break
      const known = position.known[entry.node]
      if (known === undefined ? !isBehind : entry.counter <= known) {
        hasKnown ||= known !== undefined
        continue
      }
      if (known !== undefined) missing--
      unknown.push({ entry, isOvertaken: hasKnown && !isBehind })
    }
    return unknown.reverse()
  }

  #index (entry: Held): void {
    this.#bytes += entry.bytes + entryBytes
    let ofNode = this.#byNumber.get(entry.node)
    if (ofNode === undefined) this.#byNumber.set(entry.node, ofNode = new Map())
    ofNode.set(entry.counter, entry)
    if (this.#places !== null) this.#place(entry)
  }

  #place (entry: TailEntry): void {
    for (const broadcast of entry.broadcasts) if (broadcast !== null) this.#places!.set(broadcast.frame, entry)
  }

  #trim (): void {
    const { logTailEntries, logTailBytes } = this.#limits
    while (this.length > 1 && (this.length > logTailEntries || this.#bytes > logTailBytes)) this.#dropFirst()
    if (this.#head < 1_024) return
    this.#entries = this.#entries.slice(this.#head)
    this.#head = 0
  }

  #dropFirst (): void {
    const entry = this.#entries[this.#head]!
    this.#entries[this.#head++] = undefined as never
    this.#bytes -= entry.bytes + entryBytes
    const ofNode = this.#byNumber.get(entry.node)!
    ofNode.delete(entry.counter)
    if (ofNode.size === 0) this.#byNumber.delete(entry.node)
    if (this.#places !== null) for (const broadcast of entry.broadcasts) if (broadcast !== null) this.#places.delete(broadcast.frame)
  }
}
