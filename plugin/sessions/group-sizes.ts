import { isRecord } from '../../schemas/record.ts'
import type { TimeSource } from '../../schemas/time-source.ts'
import { channels } from '../cluster/channels.ts'
import type { Offset } from '../cluster/engine.ts'
import { jsonArrayOf } from '../cluster/json-text.ts'
import type { Broadcast } from '../cluster/log-entry.ts'
import type { LogSubscriber, LossReason } from '../cluster/log-reader.ts'
import type { Deadline } from '../delivery/deadline-queue.ts'
import { Frame } from '../protocol/frame.ts'
import type { BroadcastLog } from './broadcast-log.ts'

/** The groups of this node. */
interface OwnGroups {
  readonly names: Iterable<string>
  sizeOf: (name: string) => number
}

export interface GroupSizesParts {
  readonly url: string
  readonly log: BroadcastLog
  readonly groups: OwnGroups
  readonly deadlines: { set: (deadline: Deadline, at: number) => void }
  readonly time: TimeSource
  readonly limits: { readonly groupSizesMs: number, readonly groupSizesAskMs: number, readonly groupSizesEntry: number, readonly knownGroups: number, readonly knownGroupBytes: number }
}

/** What a node tells. */
type Told =
  /** Some of its sizes have changed. */
  | 'some'
  /** All of its sizes follow, from here on. */
  | 'all'
  /** All nodes should tell all. */
  | 'ask'

/** How many members the groups of one URL have on the other nodes, as these have told through the log. */
export class GroupSizes implements LogSubscriber, Deadline {
  dueAt = 0
  heapIndex = -1
  readonly #parts: GroupSizesParts
  readonly #channel: string
  /** By node, and by name of the group. */
  readonly #nodes = new Map<string, Map<string, number>>()
  #known = 0
  #knownBytes = 0
  /** Groups whose size has changed since it was told. */
  readonly #changed = new Set<string>()
  #mustTellAll = false
  /** Whether others may have something of this node. */
  #hasTold = false
  #mustAsk = false
  #askedAt = -Infinity

  constructor (parts: GroupSizesParts) {
    this.#parts = parts
    this.#channel = channels.sizes(parts.url)
    parts.log.subscribe(this.#channel, this)
  }

  /** Number of members on the other nodes. */
  othersOf (group: string): number {
    let size = 0
    // A node that was killed has no members.
    for (const [node, sizes] of this.#nodes) if (this.#parts.log.hasNode(node)) size += sizes.get(group) ?? 0
    return size
  }

  /** A group of this node has another size. */
  changed (group: string): void {
    this.#changed.add(group)
    this.#schedule()
  }

  #schedule (): void {
    const { deadlines, time, limits } = this.#parts
    if (this.heapIndex === -1) deadlines.set(this, time.now() + limits.groupSizesMs)
  }

  /** Tells changes within a time together. */
  due (now: number): void {
    const { groups, deadlines, limits: { groupSizesAskMs, groupSizesEntry } } = this.#parts
    if (this.#mustAsk) {
      // Where the log does not keep up, it may lose this too.
      if (now - this.#askedAt < groupSizesAskMs) deadlines.set(this, this.#askedAt + groupSizesAskMs)
      else {
        this.#mustAsk = false
        this.#askedAt = now
        this.#tell('ask', [])
      }
    }
    const names = this.#mustTellAll ? [...groups.names] : [...this.#changed]
    this.#changed.clear()
    let told: Told = this.#mustTellAll ? 'all' : 'some'
    this.#mustTellAll = false
    if (names.length === 0 && !this.#hasTold) return
    this.#hasTold = true
    for (let from = 0; from < names.length || told === 'all'; from += groupSizesEntry) {
      this.#tell(told, names.slice(from, from + groupSizesEntry).map((name) => [name, groups.sizeOf(name)]))
      told = 'some'
    }
  }

  #tell (told: Told, sizes: ReadonlyArray<readonly [string, number]>): void {
    this.#parts.log.publish({ url: this.#channel, group: null, except: null, frame: new Frame(JSON.stringify([told, Object.fromEntries(sizes)])) })
  }

  deliver ({ frame: { text } }: Broadcast, _at: Offset, from: string): void {
    const { log } = this.#parts
    const read = readTold(text)
    if (read === null) return
    const [told, sizes] = read
    if (told === 'ask') {
      this.#mustTellAll = true
      this.#schedule()
      return
    }
    if (from === log.node) return
    if (told === 'all') {
      this.#forget(from)
      this.#forgetDead()
    }
    let ofNode = this.#nodes.get(from)
    if (ofNode === undefined) this.#nodes.set(from, ofNode = new Map())
    for (const [group, size] of Object.entries(sizes)) this.#note(ofNode, group, size)
  }

  #note (sizes: Map<string, number>, group: string, size: unknown): void {
    if (!Number.isSafeInteger(size)) return
    const { knownGroups, knownGroupBytes } = this.#parts.limits
    const isKnown = sizes.has(group)
    if ((size as number) > 0) {
      const bytes = Buffer.byteLength(group)
      if (!isKnown && (this.#known >= knownGroups || this.#knownBytes + bytes > knownGroupBytes)) return
      sizes.set(group, size as number)
      if (isKnown) return
      this.#known++
      this.#knownBytes += bytes
    } else if (isKnown) {
      sizes.delete(group)
      this.#known--
      this.#knownBytes -= Buffer.byteLength(group)
    }
  }

  #forget (node: string): void {
    const sizes = this.#nodes.get(node)
    if (sizes === undefined) return
    for (const group of [...sizes.keys()]) this.#note(sizes, group, 0)
    this.#nodes.delete(node)
  }

  #forgetDead (): void {
    for (const node of [...this.#nodes.keys()]) if (!this.#parts.log.hasNode(node)) this.#forget(node)
  }

  /** It needs all sizes. Those that were there before tell it unasked. */
  newcomer (): void {
    this.#mustTellAll = true
    this.#schedule()
  }

  /** What others have told may be lost, and what this node has told. */
  lost (reason: LossReason | 'joined'): void {
    if (reason === 'joined') return
    this.#mustAsk = true
    this.#schedule()
  }
}

function readTold (text: string): readonly [Told, Record<string, unknown>] | null {
  const given = jsonArrayOf(text)
  if (given === null) return null
  const [told, sizes] = given
  return (told === 'some' || told === 'all' || told === 'ask') && isRecord(sizes) ? [told, sizes] : null
}
