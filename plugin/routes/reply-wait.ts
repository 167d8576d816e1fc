import type { FastifyReply } from 'fastify'
import { SessionClosedError } from '../../schemas/errors.ts'
import type { Deadline } from '../delivery/deadline-queue.ts'
import type { Reply } from '../sessions/reply.ts'
import type { Runtime } from '../streams/runtime.ts'

/** Names of the statuses in the bodies of errors. */
const names = { 422: 'Unprocessable Entity', 500: 'Internal Server Error' } as const

/** What it needs of a runtime. */
export type ReplyWaitRuntime = Pick<Runtime, 'deadlines' | 'replyWaits' | 'closing'>

/** Answers a POST with the reply to its request, or with 202 if that takes too long. The request runs on all the same. */
export class ReplyWait implements Deadline {
  dueAt = 0
  heapIndex = -1
  readonly #http: FastifyReply
  readonly #seconds: number
  readonly #runtime: ReplyWaitRuntime
  #accepted: object | null = null
  /** A reply that came before the request was known to be accepted, as from another node. */
  #early: { readonly reply: Reply | null } | null = null
  #isOver = false

  constructor (http: FastifyReply, seconds: number, runtime: ReplyWaitRuntime) {
    this.#http = http
    this.#seconds = seconds
    this.#runtime = runtime
  }

  /** Begins to wait. @param accepted body of the answer if there is no reply in time */
  begin (accepted: object): void {
    this.#accepted = accepted
    this.#http.header('preference-applied', `wait=${this.#seconds}`)
    // Not even a reply that is there already.
    if (this.#seconds === 0) return this.giveUp()
    if (this.#early !== null) return this.settle(this.#early.reply)
    if (this.#runtime.closing) return this.giveUp()
    this.#runtime.replyWaits.add(this)
    this.#runtime.deadlines.set(this, performance.now() + this.#seconds * 1000)
  }

  /** Gets the reply; null if the session closed before the handler ran. */
  settle (reply: Reply | null): void {
    if (this.#isOver) return
    if (this.#accepted === null) {
      this.#early = { reply }
      return
    }
    this.#end()
    if (reply === null) this.#http.send(new SessionClosedError())
    else this.#write(reply.status, reply.status === 200 ? reply.json : `{"statusCode":${reply.status},"error":"${names[reply.status]}",${reply.json.slice(1)}`)
  }

  due (): void {
    this.giveUp()
  }

  giveUp (): void {
    if (this.#isOver) return
    this.#end()
    this.#write(202, JSON.stringify(this.#accepted))
  }

  #end (): void {
    this.#isOver = true
    this.#runtime.replyWaits.delete(this)
    this.#runtime.deadlines.remove(this)
  }

  #write (status: number, json: string): void {
    this.#http.code(status).type('application/json; charset=utf-8').send(json)
  }
}
