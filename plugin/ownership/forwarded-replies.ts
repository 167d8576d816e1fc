import type { Clock } from '../cluster/hub/clock.ts'
import { replies, type NodeCalls, type Reply as Answer } from '../cluster/node-calls.ts'
import { BusyError } from '../../schemas/errors.ts'
import type { Limits } from '../../schemas/limits.ts'
import { isRecord } from '../../schemas/record.ts'
import { lostReply, type Reply } from '../sessions/reply.ts'

/** The request that brings a reply to the node that waits for it. */
const replyRequest = 'reply'

/** Most times that a node sends a reply. */
const mostAttempts = 3

type Waiter = (reply: Reply | null) => void

export interface ForwardedRepliesParts {
  readonly calls: NodeCalls
  readonly clock: Clock
  readonly limits: Pick<Limits, 'nodeCalls' | 'replyWaitMs'>
  /** Milliseconds for each message. */
  readonly forwardMs: number
}

/** Replies to requests that were posted at another node than their session's. */
export class ForwardedReplies {
  readonly #parts: ForwardedRepliesParts
  readonly #waiting = new Map<number, { readonly owner: string, readonly waiter: Waiter, readonly timer: unknown }>()
  #last = 0

  constructor (parts: ForwardedRepliesParts) {
    this.#parts = parts
    parts.calls.respond(replyRequest, (from, data) => this.#arrived(from, data))
  }

  /**
   * Waits for a reply from the node of a session.
   *
   * @returns its number, which goes along with the request
   * @throws `FST_ERR_TETHER_BUSY` beyond a limit
   */
  open (owner: string, waiter: Waiter): number {
    const { clock, limits } = this.#parts
    if (this.#waiting.size >= limits.nodeCalls) throw new BusyError('Too many requests wait for replies of other nodes')
    const number = ++this.#last
    this.#waiting.set(number, { owner, waiter, timer: clock.setTimeout(() => { this.#waiting.delete(number) }, limits.replyWaitMs) })
    return number
  }

  /** The request was not accepted. */
  close (number: number): void {
    this.#take(number)
  }

  #take (number: number): Waiter | undefined {
    const found = this.#waiting.get(number)
    if (found === undefined) return undefined
    this.#waiting.delete(number)
    this.#parts.clock.clearTimeout(found.timer)
    return found.waiter
  }

  #arrived (from: string, data: unknown): Answer {
    if (!isRecord(data) || this.#waiting.get(data.number as number)?.owner !== from) return { name: 'gone', data: null }
    const reply = readReply(data.reply)
    if (reply === undefined) return { name: replies.failed, data: null }
    this.#take(data.number as number)!(reply)
    return { name: 'taken', data: null }
  }

  /** Gives what takes the reply to a request of another node, and sends it there. */
  waiterFor (node: string, number: number): Waiter {
    return (reply) => { this.#send(node, number, reply) }
  }

  async #send (node: string, number: number, reply: Reply | null): Promise<void> {
    for (let attempt = 1; attempt <= mostAttempts; attempt++) {
      // The engine may not take a large one.
      const sent = attempt === mostAttempts && reply !== null ? lostReply : reply
      try {
        const { name } = await this.#parts.calls.ask(node, replyRequest, { number, reply: sent }, this.#parts.forwardMs)
        if (name !== replies.busy) return
      } catch {}
    }
  }

  /** Forgets what waits. */
  stop (): void {
    for (const number of [...this.#waiting.keys()]) this.#take(number)
  }
}

/** Reads a reply of another node: null for none, undefined for anything else. Its text goes to the client as it is. */
export function readReply (value: unknown): Reply | null | undefined {
  if (value === null) return null
  if (!isRecord(value)) return undefined
  const { status, json } = value
  if ((status !== 200 && status !== 422 && status !== 500) || typeof json !== 'string') return undefined
  try {
    const body: unknown = JSON.parse(json)
    return status === 200 || isRecord(body) ? { status, json } : undefined
  } catch {
    return undefined
  }
}
