import { ArgumentError } from '../../schemas/errors.ts'
import { isRecord } from '../../schemas/record.ts'
import { Frame } from '../protocol/frame.ts'
import type { ClusterMember, ClusterValue } from './api.ts'
import { checkName } from './bus.ts'
import { channels } from './channels.ts'
import type { Offset } from './engine.ts'
import type { Clock } from './hub/clock.ts'
import { jsonArrayOf, jsonOf } from './json-text.ts'
import type { Broadcast } from './log-entry.ts'
import type { LogPosition } from './log-position.ts'
import type { LogSubscriber, LossReason } from './log-reader.ts'
import type { MissedBroadcasts } from './log-tail.ts'
import { replies, type NodeCalls, type Reply } from './node-calls.ts'

export interface SharedValuesParts {
  readonly node: string
  readonly clock: Clock
  readonly limits: {
    readonly maxValues: number
    readonly maxValueBytes: number
    /** Most changes that wait until this node knows the values, and their bytes. */
    readonly queueFrames: number
    readonly queueBytes: number
    readonly clusterNameLength: number
    readonly retryMs: number
    readonly leaseMs: number
  }
  readonly calls: Pick<NodeCalls, 'ask' | 'respond'>
  readonly publish: (broadcast: Broadcast) => void
  readonly synced: () => Promise<void>
  /** All nodes, this one first; read anew. Rejects while this node has no lease, or the engine does not answer. */
  readonly readNodes: () => Promise<readonly ClusterMember[]>
  readonly position: () => LogPosition | null
  readonly reach: (position: LogPosition, from: Offset | null, deadlineMs: number) => Promise<boolean>
  readonly replay: (position: LogPosition, missed: MissedBroadcasts) => void
}

/** The name of the request for the values. */
const request = 'values'

/** How sure a node is of its values: 0 for certain, otherwise the gravest loss since it last was. */
const doubts = { unreadable: 1, missing: 1, away: 2, joined: 3 } as const

interface Held {
  readonly text: string
  readonly value: unknown
  readonly bytes: number
}

/** What another node has. */
interface Answer {
  readonly doubt: number
  /** Null where its node has read nothing. */
  readonly position: LogPosition | null
  readonly values: ReadonlyMap<string, Held>
}

type Answered = Answer | 'none' | 'silent'

/** The values of one node, and the log position up to which they hold. */
export class SharedValues implements LogSubscriber {
  readonly #parts: SharedValuesParts
  #values = new Map<string, Held>()
  #bytes = 0
  #doubt: number = doubts.joined
  /** Counts the losses that were told. */
  #losses = 0
  #isSyncing = false
  #isClosed = false
  /** Ends the pause before the next attempt; null for none. */
  #wake: (() => void) | null = null
  /** Until when an older node may show up that knows better: this one found nobody when it began. */
  #aloneUntil = -Infinity
  /** Changes that wait until this node knows the values. */
  #waiting: Array<{ readonly broadcast: Broadcast, readonly settle: (isApplied: boolean) => void }> = []
  #waitingBytes = 0
  /** Changes of this node that are in the log and not back. */
  readonly #pending = new Map<Frame, (isApplied: boolean) => void>()
  #onCertain: Array<() => void> = []

  constructor (parts: SharedValuesParts) {
    this.#parts = parts
    parts.calls.respond(request, () => this.#answer())
  }

  get isCertain (): boolean { return this.#doubt === 0 }

  /** Resolves when this node knows the values. */
  whenCertain (): Promise<void> {
    return this.isCertain ? Promise.resolve() : new Promise((resolve) => { this.#onCertain.push(resolve) })
  }

  /** Makes the application's view of a value. */
  value<Value> (name: string, initial: Value): ClusterValue<Value> {
    checkName(name, 'a value of the cluster', this.#parts.limits.clusterNameLength)
    const first = heldOf(jsonOf(initial, `the first value of "${name}"`))!
    const current = () => this.#values.get(name) ?? first
    return Object.freeze({
      name,
      get: () => copyOf(current()) as Value,
      set: (value: Value) => this.#change(name, 'set', jsonOf(value, `the value of "${name}"`), first),
      add: (by: number) => {
        if (!Number.isFinite(by)) throw new ArgumentError('add() of a value takes a finite number')
        if (typeof current().value !== 'number') throw new ArgumentError(`the value of "${name}" is no number`)
        return this.#change(name, 'add', String(by), first)
      }
    }) as ClusterValue<Value>
  }

  #change (name: string, what: 'set' | 'add', operand: string, first: Held): Promise<boolean> {
    const frame = new Frame(`["${what}",${operand},${first.text}]`)
    const { maxValues, maxValueBytes, queueFrames, queueBytes } = this.#parts.limits
    const known = this.#values.get(name)
    if (known === undefined && this.#values.size >= maxValues) throw new ArgumentError(`there are ${maxValues} values already, as many as maxValues allows`)
    const bytes = bytesOf(name, what === 'set' ? operand : first.text)
    if (this.#bytes - (known?.bytes ?? 0) + bytes > maxValueBytes) throw new ArgumentError(`the value of "${name}" does not fit: all values may have ${maxValueBytes} bytes, as maxValueBytes says`)
    const broadcast = { url: channels.values, group: name, except: null, frame }
    return new Promise((resolve) => {
      if (this.#isClosed) return resolve(false)
      if (this.isCertain) return this.#publish(broadcast, resolve)
      if (this.#waiting.length >= queueFrames || this.#waitingBytes + frame.bytes > queueBytes) return resolve(false)
      this.#waiting.push({ broadcast, settle: resolve })
      this.#waitingBytes += frame.bytes
    })
  }

  #publish (broadcast: Broadcast, settle: (isApplied: boolean) => void): void {
    this.#pending.set(broadcast.frame, settle)
    this.#parts.publish(broadcast)
    // What is lost on its way is not delivered before.
    const over = () => { this.#settle(broadcast.frame, false) }
    this.#parts.synced().then(over, over)
  }

  #settle (frame: Frame, isApplied: boolean): void {
    this.#pending.get(frame)?.(isApplied)
    this.#pending.delete(frame)
  }

  // The log

  deliver (broadcast: Broadcast): void {
    this.#settle(broadcast.frame, this.#apply(broadcast))
  }

  /** Applies a change, on all nodes to the same value. Returns whether it is allowed. */
  #apply ({ group: name, frame }: Broadcast): boolean {
    const change = changeOf(frame.text)
    if (change === null || name === null || name.length > this.#parts.limits.clusterNameLength) return false
    const known = this.#values.get(name)
    let next = change.operand
    if (change.what === 'add') {
      const sum = Number((known ?? change.first).value) + Number(change.operand.value)
      if (typeof (known ?? change.first).value !== 'number' || !Number.isFinite(sum)) return false
      next = heldOf(String(sum))!
    }
    return this.#put(name, next)
  }

  #put (name: string, { text, value }: Held): boolean {
    const { maxValues, maxValueBytes } = this.#parts.limits
    const known = this.#values.get(name)
    const bytes = bytesOf(name, text)
    const all = this.#bytes - (known?.bytes ?? 0) + bytes
    if ((known === undefined && this.#values.size >= maxValues) || all > maxValueBytes) return false
    this.#values.set(name, { text, value, bytes })
    this.#bytes = all
    return true
  }

  lost (reason: LossReason | 'joined'): void {
    this.#losses++
    this.#doubt = Math.max(this.#doubt, doubts[reason])
    this.#sync()
  }

  /** This node has renewed its lease, and read the others. */
  renewed (nodes: readonly ClusterMember[]): void {
    if (this.#parts.clock.now() < this.#aloneUntil && nodes.some((node) => !node.isSelf && isBefore(node, nodes[0]!))) {
      this.#aloneUntil = -Infinity
      this.#doubt = doubts.joined
    }
    if (this.isCertain) return
    this.#wake?.()
    this.#sync()
  }

  // Other nodes

  #answer (): Reply {
    // Before a node knows its losses, it does not know how sure it is.
    const position = this.#parts.position()
    return { name: request, data: { doubt: this.#doubt, position, values: Array.from(this.#values, ([name, { text }]) => [name, text]) } }
  }

  #sync (): void {
    if (this.#isSyncing || this.#isClosed || this.isCertain) return
    this.#isSyncing = true
    this.#untilCertain().finally(() => { this.#isSyncing = false }).catch(() => {})
  }

  async #untilCertain (): Promise<void> {
    const { clock, limits } = this.#parts
    while (!this.#isClosed) {
      const isDone = await this.#attempt().catch(() => false)
      if (this.#isClosed) return
      if (isDone) return this.#certain()
      await new Promise<void>((resolve) => {
        const timer = clock.setTimeout(resolve, limits.retryMs)
        this.#wake = () => {
          clock.clearTimeout(timer)
          resolve()
        }
      })
      this.#wake = null
    }
  }

  #certain (): void {
    this.#doubt = 0
    for (const resolve of this.#onCertain.splice(0)) resolve()
    this.#waitingBytes = 0
    for (const { broadcast, settle } of this.#waiting.splice(0)) this.#publish(broadcast, settle)
  }

  /**
   * Takes the values of a node that knows them. Where none does, those of the node that has lost least are the values; that
   * node learns so by asking the others.
   *
   * @returns whether this node knows the values now
   */
  async #attempt (): Promise<boolean> {
    const losses = this.#losses
    const [own, ...others] = await this.#parts.readNodes()
    const best = await this.#askAll(own!, others)
    if (best === 'silent') return false
    if (best !== 'own') return await this.#take(best)
    if (others.length === 0) this.#aloneUntil = this.#parts.clock.now() + this.#parts.limits.leaseMs
    // What was lost meanwhile, others may have.
    return losses === this.#losses
  }

  /** The answer of the first node that is certain; otherwise that of the best node, this one among them. `silent` if not all have answered. */
  async #askAll (own: ClusterMember, others: readonly ClusterMember[]): Promise<Answer | 'own' | 'silent'> {
    const answers: Array<readonly [ClusterMember, Answered]> = []
    const certain = await new Promise<Answer | null>((resolve) => {
      if (others.length === 0) resolve(null)
      for (const other of others) {
        this.#ask(other.name).then((answer) => {
          if (typeof answer === 'object' && answer.doubt === 0) resolve(answer)
          if (answers.push([other, answer]) === others.length) resolve(null)
        })
      }
    })
    if (certain !== null) return certain
    let best: readonly [ClusterMember, Answer | null] = [own, null]
    for (const [node, answer] of answers) {
      if (answer === 'silent') return 'silent'
      if (answer === 'none') continue
      const doubt = best[1]?.doubt ?? this.#doubt
      if (answer.doubt < doubt || (answer.doubt === doubt && isBefore(node, best[0]))) best = [node, answer]
    }
    return best[1] ?? 'own'
  }

  async #ask (node: string): Promise<Answered> {
    const { calls, limits } = this.#parts
    try {
      const { name, data } = await calls.ask(node, request, null, limits.leaseMs / 3)
      // A node of an earlier version has no values.
      if (name === replies.unknown) return 'none'
      return name === request ? answerOf(data) ?? 'silent' : 'silent'
    } catch {
      return 'silent'
    }
  }

  /** Takes the values of another node, and applies what the log brought since. */
  async #take ({ position, values }: Answer): Promise<boolean> {
    const { limits, reach, replay } = this.#parts
    if (position === null || !await reach(position, null, limits.leaseMs)) return false
    this.#values = new Map(values)
    this.#bytes = 0
    for (const { bytes } of values.values()) this.#bytes += bytes
    let isComplete = true
    replay(position, {
      deliver: (broadcast) => { if (broadcast.url === channels.values) this.#apply(broadcast) },
      lost: () => { isComplete = false },
      pause () {}
    })
    return isComplete
  }

  /** Nobody gets the values from here any more, and no change is applied. */
  close (): void {
    this.#isClosed = true
    this.#wake?.()
    for (const { settle } of this.#waiting.splice(0)) settle(false)
    for (const settle of this.#pending.values()) settle(false)
    this.#pending.clear()
    for (const resolve of this.#onCertain.splice(0)) resolve()
  }
}

/** Whether a node's word counts before another's. */
function isBefore (one: ClusterMember, other: ClusterMember): boolean {
  return one.startedAt < other.startedAt || (one.startedAt === other.startedAt && one.name < other.name)
}

function bytesOf (name: string, text: string): number {
  return Buffer.byteLength(name) + Buffer.byteLength(text)
}

function heldOf (text: string): Held | null {
  try {
    return { text, value: JSON.parse(text), bytes: 0 }
  } catch {
    return null
  }
}

/** An object is the caller's own. */
function copyOf ({ text, value }: Held): unknown {
  return typeof value === 'object' && value !== null ? JSON.parse(text) : value
}

/** Reads a change; null for anything else. */
function changeOf (text: string): { readonly what: 'set' | 'add', readonly operand: Held, readonly first: Held } | null {
  const given = jsonArrayOf(text)
  if (given === null) return null
  const [what, operand, first] = given
  if ((what !== 'set' && what !== 'add') || operand === undefined || first === undefined || (what === 'add' && typeof operand !== 'number')) return null
  return { what, operand: { text: JSON.stringify(operand), value: operand, bytes: 0 }, first: { text: JSON.stringify(first), value: first, bytes: 0 } }
}

/** Reads another node's answer; null for anything else. */
function answerOf (given: unknown): Answer | null {
  if (!isRecord(given)) return null
  const { doubt, position, values } = given
  if (typeof doubt !== 'number' || !Array.isArray(values) || (position !== null && !isPosition(position))) return null
  const held = new Map<string, Held>()
  for (const one of values as unknown[]) {
    if (!Array.isArray(one)) return null
    const [name, text] = one as unknown[]
    const value = typeof text === 'string' ? heldOf(text) : null
    if (typeof name !== 'string' || value === null) return null
    held.set(name, { ...value, bytes: bytesOf(name, value.text) })
  }
  return { doubt, position, values: held }
}

function isPosition (given: unknown): given is LogPosition {
  if (!isRecord(given)) return false
  const { at, before, known } = given
  return typeof at === 'string' && (before === null || typeof before === 'string') && isRecord(known) && Object.values(known).every((number) => Number.isSafeInteger(number))
}
