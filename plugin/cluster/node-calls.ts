import { UnavailableError } from '../../schemas/errors.ts'
import type { TraceLink } from '../metrics/watch.ts'
import type { Clock } from './hub/clock.ts'
import { packMessage, unpackMessage, type NodeMessage } from './node-message.ts'

/** The outcome of a request, and what goes with it. */
export interface Reply {
  readonly name: string
  readonly data: unknown
}

/** Answers the requests of one name. What it throws becomes the reply `failed`. */
export type Responder = (from: string, data: unknown) => Reply | Promise<Reply>

export interface CallLimits {
  /** Most requests that wait for a reply, and as many of other nodes that wait for one of this node; and their bytes. */
  readonly calls: number
  readonly bytes: number
}

export interface NodeCallsParts {
  readonly limits: CallLimits
  readonly clock: Clock
  readonly send: (node: string, message: Buffer) => Promise<void>
  /** Takes traces along; null while nobody traces. */
  readonly traceLink?: (() => TraceLink | null) | undefined
  /** A request waits, and none did before. */
  readonly onWaiting?: () => void
}

/** Replies that a node gives by itself. */
export const replies = {
  /** The node does not know the request, or its version. */
  unknown: 'unknown',
  /** Too many requests wait there. */
  busy: 'busy',
  failed: 'failed'
} as const

interface Waiting {
  readonly node: string
  readonly bytes: number
  readonly askedAt: number
  readonly timer: unknown
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: Error) => void
}

/** Nodes whose last request is remembered, so that none runs twice. */
const rememberedNodes = 256

/** Requests to other nodes, and theirs to this one. Each has a deadline; all are bounded by count and bytes. */
export class NodeCalls {
  readonly #parts: NodeCallsParts
  readonly #responders = new Map<string, Responder>()
  readonly #waiting = new Map<number, Waiting>()
  /** The last request of each node. */
  readonly #lastOf = new Map<string, number>()
  #lastId = 0
  #bytes = 0
  #served = 0
  #servedBytes = 0
  #isClosed = false
  /** Messages that were refused. */
  rejected = 0

  constructor (parts: NodeCallsParts) {
    this.#parts = parts
  }

  get waiting (): number { return this.#waiting.size }

  /** For how many milliseconds the oldest request has waited; 0 for none. */
  get waitedMs (): number {
    const [oldest] = this.#waiting.values()
    return oldest === undefined ? 0 : this.#parts.clock.now() - oldest.askedAt
  }

  /** Sets who answers the requests of a name. */
  respond (name: string, responder: Responder): void {
    this.#responders.set(name, responder)
  }

  /**
   * Sends a request, and waits for its reply. It may have been carried out even if this rejects.
   *
   * @throws `FST_ERR_TETHER_UNAVAILABLE` without a reply in time, and beyond a limit
   */
  ask (node: string, name: string, data: unknown, withinMs: number): Promise<Reply> {
    const { limits, clock, send, traceLink, onWaiting } = this.#parts
    const id = ++this.#lastId
    const message = packMessage({ kind: 'request', id, name, data, trace: traceLink?.()?.carry() })
    return new Promise((resolve, reject) => {
      if (this.#isClosed || this.#waiting.size >= limits.calls || this.#bytes + message.length > limits.bytes) return reject(new UnavailableError())
      this.#bytes += message.length
      const timer = clock.setTimeout(() => { this.#take(id)?.reject(new UnavailableError()) }, withinMs)
      this.#waiting.set(id, { node, bytes: message.length, askedAt: clock.now(), timer, resolve, reject })
      if (this.#waiting.size === 1) onWaiting?.()
      // The reply may come before the answer of the engine.
      send(node, message).catch(() => { this.#take(id)?.reject(new UnavailableError()) })
    })
  }

  /** A message has arrived. */
  receive (from: string, bytes: Buffer): void {
    if (this.#isClosed) return
    const message = unpackMessage(bytes)
    if (message === null) {
      this.rejected++
    } else if (message.kind === 'reply') {
      if (this.#waiting.get(message.id)?.node === from) this.#take(message.id)!.resolve(message)
    } else if (message.kind === 'foreign') {
      this.rejected++
      if (message.id !== null) this.#reply(from, message.id, { name: replies.unknown, data: null })
    } else this.#serve(from, message, bytes.length)
  }

  #serve (from: string, { id, name, data, trace }: NodeMessage, bytes: number): void {
    if (id <= (this.#lastOf.get(from) ?? 0)) return
    this.#lastOf.delete(from)
    this.#lastOf.set(from, id)
    if (this.#lastOf.size > rememberedNodes) this.#lastOf.delete(this.#lastOf.keys().next().value!)
    const responder = this.#responders.get(name)
    if (responder === undefined) return this.#reply(from, id, { name: replies.unknown, data: null })
    const { limits, traceLink } = this.#parts
    if (this.#served >= limits.calls || this.#servedBytes + bytes > limits.bytes) return this.#reply(from, id, { name: replies.busy, data: null })
    this.#served++
    this.#servedBytes += bytes
    const settle = (reply: Reply): void => {
      this.#served--
      this.#servedBytes -= bytes
      this.#reply(from, id, reply)
    }
    const link = trace === undefined ? null : traceLink?.() ?? null
    const respond = () => responder(from, data)
    new Promise<Reply>((resolve) => { resolve(link === null ? respond() : link.within(trace!, respond)) }).then(settle, () => { settle({ name: replies.failed, data: null }) })
  }

  #reply (to: string, id: number, { name, data }: Reply): void {
    // A lost reply is a request without one.
    this.#parts.send(to, packMessage({ kind: 'reply', id, name, data })).catch(() => {})
  }

  #take (id: number): Waiting | undefined {
    const found = this.#waiting.get(id)
    if (found === undefined) return undefined
    this.#waiting.delete(id)
    this.#bytes -= found.bytes
    this.#parts.clock.clearTimeout(found.timer)
    return found
  }

  /** Rejects what waits for dead nodes: no reply of theirs will come. */
  abandon (isDead: (node: string) => boolean): void {
    for (const [id, { node }] of [...this.#waiting]) if (isDead(node)) this.#take(id)!.reject(new UnavailableError())
  }

  /** Rejects what waits. */
  close (): void {
    this.#isClosed = true
    for (const id of [...this.#waiting.keys()]) this.#take(id)!.reject(new UnavailableError())
  }
}
