import { createHash } from 'node:crypto'
import type { ClusterNode } from '../cluster/cluster-node.ts'
import type { Offset } from '../cluster/engine.ts'
import type { Clock } from '../cluster/hub/clock.ts'
import type { LeaseGate } from '../cluster/lease-gate.ts'
import { readBroadcast } from '../cluster/log-entry.ts'
import { replies, type NodeCalls, type Reply } from '../cluster/node-calls.ts'
import type { RecordStore } from '../cluster/record-store.ts'
import type { Limits } from '../../schemas/limits.ts'
import { isRecord } from '../../schemas/record.ts'
import { topicOf, type Frame } from '../protocol/frame.ts'

/** The node, as topics see it. */
export interface TopicNode extends Pick<ClusterNode, 'node' | 'nodes' | 'stateOf' | 'isRecovering' | 'synced' | 'passes' | 'publish' | 'subscribe'> {
  readonly records: RecordStore
  readonly calls: NodeCalls
  readonly gate: LeaseGate
}

export interface TopicNetworkParts {
  readonly node: TopicNode
  readonly leaseMs: number
  readonly fixed: Pick<Limits, 'recordMs' | 'topicValuesMs' | 'topicReplyBytes'>
  readonly clock: Clock
}

/** A value on its way to another node, with its place in the log. */
export interface PlacedValue {
  readonly frame: Frame
  readonly at: Offset
}

/** Outcomes of a request, besides those that every request may have. */
export const outcomes = {
  /** The values follow, and the node that asks counts as one with subscribers. */
  joined: 'joined',
  /** The node does not produce the topic. */
  none: 'none',
  /** It may do so soon. */
  pending: 'pending',
  values: 'values'
} as const

/** The topics of one URL, as other nodes ask for them. */
export interface TopicDesk {
  /** A node with subscribers asks for the producer. Gives its epoch, or why it is not here. */
  join: (from: string, name: string) => number | 'none' | 'pending'
  leave: (from: string, name: string) => void
  /** The values of a topic that came from the log, the least recently published first. */
  valuesOf: (name: string) => Iterable<PlacedValue>
  /** A producer began. */
  began: (name: string, epoch: number) => void
  /** A producer ended. */
  ended: (name: string, epoch: number) => void
}

/** What a producer's node tells all others in the log. */
export type Mark = 'began' | 'ended'

const requests = { join: 'topic.join', leave: 'topic.leave', values: 'topic.values' } as const

/** What a node with subscribers learns of a producer. */
export type Joined = { readonly epoch: number, readonly values: readonly PlacedValue[] } | 'none' | 'pending' | 'failed'

/** Requests between nodes that concern topics: who produces one, and what its values are. */
export class TopicNetwork {
  readonly #parts: TopicNetworkParts
  readonly #desks = new Map<string, TopicDesk>()
  readonly #releases = new Set<Promise<unknown>>()
  isClosed = false

  constructor (parts: TopicNetworkParts) {
    this.#parts = parts
    const { calls } = parts.node
    calls.respond(requests.join, (from, data) => this.#joinHere(from, data))
    calls.respond(requests.leave, (from, data) => this.#leaveHere(from, data))
    calls.respond(requests.values, (_from, data) => this.#valuesHere(data))
  }

  get node (): TopicNode { return this.#parts.node }
  get clock (): Clock { return this.#parts.clock }
  get leaseMs (): number { return this.#parts.leaseMs }
  get recordMs (): number { return this.#parts.fixed.recordMs }
  get valuesMs (): number { return this.#parts.fixed.topicValuesMs }
  /** Milliseconds between two looks at who produces. */
  get retryMs (): number { return Math.max(10, Math.min(250, this.leaseMs / 20)) }
  /** Milliseconds for the answer of another node. */
  get askMs (): number { return Math.max(50, this.leaseMs / 5) }
  /** The other nodes; null where this node does not know them. */
  get others (): string[] | null {
    return this.node.gate.until === 0 ? null : this.node.nodes().flatMap(({ name, isSelf }) => isSelf ? [] : [name])
  }

  register (url: string, desk: TopicDesk): void {
    this.#desks.set(url, desk)
    this.node.subscribe(marksOf(url), {
      deliver: ({ frame }) => {
        const mark = readMark(frame)
        if (mark?.kind === 'began') desk.began(mark.name, mark.epoch)
        else if (mark !== null) desk.ended(mark.name, mark.epoch)
      },
      lost: () => {}
    })
  }

  /** Tells all nodes that a producer begins or has ended, in the order of its updates. */
  mark (url: string, mark: Mark, name: string, epoch: number): void {
    this.node.publish({ url: marksOf(url), group: null, except: null, frame: markFrame(mark, name, epoch) })
  }

  pause (ms: number): Promise<void> {
    return new Promise((resolve) => { this.clock.setTimeout(resolve, ms) })
  }

  /** A record that must be written before this node leaves. */
  release (written: Promise<unknown>): void {
    const settled = written.catch(() => {}).finally(() => { this.#releases.delete(settled) })
    this.#releases.add(settled)
  }

  /** Waits for these, at most for a time. */
  async leave (withinMs: number): Promise<void> {
    this.isClosed = true
    if (this.#releases.size > 0) await Promise.race([Promise.all(this.#releases), this.pause(withinMs)])
  }

  // This node asks

  /** Joins the producer of a topic at another node. @param withValues whether to read its values, too */
  async join (url: string, name: string, owner: string, withValues: boolean): Promise<Joined> {
    let epoch = 0
    try {
      const values = await this.#read(owner, requests.join, { url, name }, withValues, (reply) => {
        if (reply.name === outcomes.joined && Number.isSafeInteger((reply.data as { epoch?: unknown }).epoch)) epoch = (reply.data as { epoch: number }).epoch
        return reply.name === outcomes.joined
      })
      return typeof values !== 'string' ? { epoch, values } : values === outcomes.none ? 'none' : values === replies.unknown ? 'failed' : 'pending'
    } catch {
      return 'failed'
    }
  }

  /** This node has no more subscribers. */
  leaveProducer (url: string, name: string, owner: string): void {
    // If it is lost, the producer's node forgets this one by itself.
    this.node.calls.ask(owner, requests.leave, { url, name }, this.askMs).catch(() => {})
  }

  /** The values that another node has of a topic. Rejects without an answer. */
  async valuesAt (node: string, url: string, name: string): Promise<readonly PlacedValue[]> {
    const values = await this.#read(node, requests.values, { url, name }, true, (reply) => reply.name === outcomes.values)
    return typeof values === 'string' ? [] : values
  }

  /** Reads values page by page. Gives the outcome instead if that is another. */
  async #read (node: string, request: string, asked: { readonly url: string, readonly name: string }, withValues: boolean, isGood: (reply: Reply) => boolean): Promise<PlacedValue[] | string> {
    const values: PlacedValue[] = []
    for (let from: number | null = withValues ? 0 : -1; from !== null;) {
      const reply = await this.node.calls.ask(node, request, { ...asked, from }, this.askMs)
      if (!isRecord(reply.data) || !isGood(reply)) return reply.name
      const { list, next } = reply.data
      if (Array.isArray(list)) values.push(...list.flatMap((value) => readValue(asked, value) ?? []))
      from = Number.isSafeInteger(next) && (next as number) > from ? next as number : null
    }
    return values
  }

  // Others ask

  #joinHere (from: string, data: unknown): Reply {
    const asked = readAsked(data)
    const desk = asked === null ? undefined : this.#desks.get(asked.url)
    if (asked === null || desk === undefined) return { name: outcomes.none, data: null }
    const epoch = desk.join(from, asked.name)
    return typeof epoch === 'string' ? { name: epoch, data: null } : { name: outcomes.joined, data: { epoch, ...this.#page(desk, asked) } }
  }

  #leaveHere (from: string, data: unknown): Reply {
    const asked = readAsked(data)
    if (asked !== null) this.#desks.get(asked.url)?.leave(from, asked.name)
    return { name: 'left', data: null }
  }

  #valuesHere (data: unknown): Reply {
    const asked = readAsked(data)
    const desk = asked === null ? undefined : this.#desks.get(asked.url)
    return { name: outcomes.values, data: asked === null || desk === undefined ? {} : this.#page(desk, asked) }
  }

  /** A part of the values that one message can carry. The client's next request says where the next part begins. */
  #page (desk: TopicDesk, { name, from }: Asked): { readonly list: unknown[], readonly next: number | null } {
    const list: unknown[] = []
    if (from < 0) return { list, next: null }
    let bytes = 0
    let index = 0
    for (const { frame, at } of desk.valuesOf(name)) {
      if (index++ < from) continue
      if (list.length > 0 && bytes + frame.bytes > this.#parts.fixed.topicReplyBytes) return { list, next: index - 1 }
      bytes += frame.bytes
      list.push([frame.key, frame.text, at])
    }
    return { list, next: null }
  }
}

interface Asked { readonly url: string, readonly name: string, readonly from: number }

function readAsked (value: unknown): Asked | null {
  if (!isRecord(value)) return null
  const { url, name, from = -1 } = value
  return typeof url === 'string' && typeof name === 'string' && Number.isSafeInteger(from) ? { url, name, from: from as number } : null
}

function readValue ({ url, name }: { readonly url: string, readonly name: string }, value: unknown): PlacedValue | null {
  if (!Array.isArray(value)) return null
  const [key, text, at] = value as unknown[]
  const frame = typeof key === 'string' && typeof at === 'string' ? readBroadcast(url, [0, null, null, key, text])?.frame : undefined
  return frame !== undefined && topicOf(frame) === name ? { frame, at: at as string } : null
}

// Marks are broadcasts to a URL that no route has, so that versions without them skip them.
function marksOf (url: string): string {
  return `${url}#producers`
}

function markFrame (kind: Mark, name: string, epoch: number): Frame {
  return readBroadcast('', [0, null, null, null, `event: ${kind}\ndata: ${JSON.stringify([name, epoch])}\n\n`])!.frame
}

function readMark ({ text }: Frame): { readonly kind: Mark, readonly name: string, readonly epoch: number } | null {
  const [, kind, json] = /^event: (began|ended)\ndata: (.*)\n\n$/.exec(text) ?? []
  if (kind === undefined) return null
  try {
    const [name, epoch] = JSON.parse(json!) as unknown[]
    return typeof name === 'string' && Number.isSafeInteger(epoch) ? { kind: kind as Mark, name, epoch: epoch as number } : null
  } catch {
    return null
  }
}

/** Follows producers through a part of the log: whether an update of a topic is one of its latest producer. */
export class EpochReader {
  readonly #marks: string
  readonly #epochs: Map<string, number>

  /** @param epochs of the latest producers before that part, by topic */
  constructor (url: string, epochs: ReadonlyMap<string, number>) {
    this.#marks = marksOf(url)
    this.#epochs = new Map(epochs)
  }

  /** Reads a mark; returns false for any other broadcast. */
  read (url: string, frame: Frame): boolean {
    if (url !== this.#marks) return false
    const mark = readMark(frame)
    if (mark?.kind === 'began') this.#raise(mark.name, mark.epoch)
    return true
  }

  /** Whether an update counts that a producer of this epoch published. */
  admits (name: string, epoch: number): boolean {
    return this.#raise(name, epoch) === epoch
  }

  #raise (name: string, epoch: number): number {
    const latest = Math.max(epoch, this.#epochs.get(name) ?? 0)
    this.#epochs.set(name, latest)
    return latest
  }
}

/** Names the record of a topic in the engine. */
export function topicRef (url: string, name: string): string {
  return createHash('sha256').update(`topic\n${url}\n${name}`).digest('base64url').slice(0, 22)
}
