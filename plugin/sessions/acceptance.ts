import type { FastifyRequest } from 'fastify'
import { defaults } from '../../schemas/defaults.ts'
import { BindingError, BusyError, DrainingError, PingLimitError, SchemaError, SequenceError, SessionClosedError, SessionNotFoundError, ValidationError, type Fault } from '../../schemas/errors.ts'
import { shareContext } from '../commands/command-context.ts'
import { readEnvelopes, readEventData, type CheckedEvent } from '../contract/envelope-reader.ts'
import { cutFault } from '../contract/fault-list.ts'
import { pingEvent, type Ping } from '../contract/ping-reader.ts'
import { parseLastEventId } from '../protocol/claim.ts'
import type { Endpoint } from './endpoint.ts'
import { NumberTakers } from './number-takers.ts'
import type { TetherSession } from './session.ts'

/** The event that a page sends when it goes away. No contract can declare it. */
export const leaveEvent = 'tether.close'

/** One request or message of a client, as a transport reads it: events, or the page's leave. */
export interface Submission {
  /** Name of the event, or `tether.close`; the body is its data. Null if the body is one envelope or an array of them. */
  readonly event: string | null
  readonly body: unknown
  /** Whether the body holds the fields of a form. */
  readonly isForm: boolean
  /** Bytes of the body; null where the transport cannot tell. */
  readonly bytes: number | null
  /** The sender that numbers the events, from `X-Tether-Sender`. Null if the client names none, or if the transport never sends a body twice. */
  readonly sender: string | null
  /** The client's `Last-Event-ID`: the last update that it has. */
  readonly lastEventId: unknown
}

/** The outcome of a submission. A transport only writes it down. */
export type Outcome = Accepted | Refused

export interface Accepted {
  readonly isAccepted: true
  /** 202; 204 for a form, so that the browser keeps its page. */
  readonly status: number
  /** Last `seq` that the session has accepted. */
  readonly seq: number
  /** Number of events accepted before, up to the last one whose number another sender took. */
  readonly known: number
}

export interface Refused {
  readonly isAccepted: false
  readonly status: number
  readonly error: unknown
  /** Seconds until the client may retry; undefined if a retry would not help. */
  readonly retryAfter: number | undefined
}

/** Accepts the submissions of one endpoint's clients: all events of a submission, or none. */
export class Acceptance {
  readonly #endpoint: Endpoint

  constructor (endpoint: Endpoint) {
    this.#endpoint = endpoint
  }

  /**
   * Accepts a submission that names its session by id.
   *
   * @param request the request for `bind`
   */
  acceptFor (id: unknown, request: FastifyRequest, submission: Submission): Outcome {
    try {
      return this.#apply(this.#find(id, request), submission)
    } catch (error) {
      return refusedFor(error)
    }
  }

  /** Accepts a submission that came over the session's own stream. */
  accept (session: TetherSession, submission: Submission): Outcome {
    try {
      return this.#apply(session, submission)
    } catch (error) {
      return refusedFor(error)
    }
  }

  /** Frees the updates that the client has, as it says in `Last-Event-ID`. */
  acknowledge (session: TetherSession, lastEventId: unknown): void {
    if (typeof lastEventId !== 'string') return
    const last = parseLastEventId(lastEventId)
    if (last?.id === session.id && last.seq !== null) session.acknowledge(last.seq)
  }

  #find (id: unknown, request: FastifyRequest): TetherSession {
    if (typeof id !== 'string' || id === '') throw new ValidationError([{ path: '', message: 'names no session: its id belongs in the header X-Tether-Session' }])
    const endpoint = this.#endpoint
    const session = endpoint.sessions.get(id)
    if (session === undefined) throw endpoint.registry.isBuried(id) ? new SessionClosedError() : new SessionNotFoundError()
    if (session.boundTo !== endpoint.boundTo(request)) throw new BindingError()
    return session
  }

  #apply (session: TetherSession, submission: Submission): Accepted {
    if (!session.isOpen) throw this.#endpoint.runtime.draining ? new DrainingError() : new SessionClosedError()
    let known = 0
    if (submission.event === leaveEvent) session.leave()
    else known = this.#take(session, this.#read(session, submission), submission)
    this.acknowledge(session, submission.lastEventId)
    return { isAccepted: true, status: submission.isForm ? 204 : 202, seq: session.acceptedSeq, known }
  }

  #read (session: TetherSession, { event, body, isForm }: Submission): CheckedEvent[] {
    const { contract, limits } = this.#endpoint
    const faults: Fault[] = []
    let events: CheckedEvent[]
    try {
      events = event === null ? readEnvelopes(body, contract, limits.maxBatch, faults) : readEventData(event, body, isForm, contract, faults)
    } catch (error) {
      // The fault is the application's, which learns of it as of a handler that threw.
      if (error instanceof SchemaError) this.#endpoint.report(session, error.cause, error.event)
      throw error
    }
    if (faults.length > 0) throw refusal(faults)
    return events
  }

  /** Takes all events or none. Returns {@link Accepted.known}. */
  #take (session: TetherSession, events: readonly CheckedEvent[], { body, bytes, sender }: Submission): number {
    const queued = events.some(isPing) ? events.filter((event) => !isPing(event)) : events
    const pings = events.length - queued.length
    if (pings > 0 && !session.admitPings(pings)) throw new PingLimitError()
    const known = queued.length === 0 ? 0 : this.#queue(session, queued, bytes ?? writtenBytes(body), sender)
    if (pings > 0) for (const event of events) if (isPing(event)) session.answerPing((event.data as Ping).id)
    return known
  }

  /** Queues all events or none, and takes their numbers in the same step. Returns {@link Accepted.known}. */
  #queue (session: TetherSession, events: readonly CheckedEvent[], bytes: number, sender: string | null): number {
    const due = session.acceptedSeq + 1
    let expected = due
    let skipped = 0
    let known = 0
    for (const { seq } of events) {
      if (seq === 0) continue
      if (seq > expected) throw new SequenceError(seq, due)
      if (seq === expected) expected++
      else {
        skipped++
        if (sender === null || (seq < due && session.takers?.wasTaken(sender, seq) !== true)) known = skipped
      }
    }
    const fresh = events.length - skipped
    const weight = this.#endpoint.runtime.limits.commandWeight + bytes / events.length
    if (fresh > 0 && !session.hasCapacity(fresh, fresh * weight)) throw new BusyError()
    if (expected > due && (sender ?? session.takers) !== null) (session.takers ??= new NumberTakers()).note(sender, due)
    if (events.length === 1) acceptFresh(session, events, weight)
    else shareContext(() => acceptFresh(session, events, weight))
    const { budget } = this.#endpoint.runtime
    if (budget.isExceeded) budget.onExceeded()
    return known
  }
}

function isPing ({ name }: CheckedEvent): boolean {
  return name === pingEvent
}

/** Queues only new events. An event accepted before is acknowledged again, but does not run again. */
function acceptFresh (session: TetherSession, events: readonly CheckedEvent[], weight: number): void {
  for (const event of events) {
    if (event.seq === 0 || event.seq > session.acceptedSeq) session.accept(event.name, event.data, event.seq, weight)
  }
}

/** The outcome for a thrown value, also for one that a transport caught while it read the submission. */
export function refusedFor (error: unknown): Refused {
  const isTemporary = error instanceof BusyError || error instanceof PingLimitError || error instanceof DrainingError
  return { isAccepted: false, status: statusOf(error), error, retryAfter: isTemporary ? defaults.fixed.retryAfterSeconds : undefined }
}

function statusOf (error: unknown): number {
  const status = (error as { statusCode?: unknown } | null | undefined)?.statusCode
  return typeof status === 'number' && status >= 400 && status < 600 ? status : 500
}

/** The error that names the first faults, as many as one answer may hold. */
export function refusal (faults: Fault[]): ValidationError {
  const { faults: most, faultBytes } = defaults.fixed
  const named: Fault[] = []
  let room: number = faultBytes
  for (const fault of faults.slice(0, most).map(cutFault)) {
    // Plus one byte for the comma.
    room -= Buffer.byteLength(JSON.stringify(fault)) + 1
    if (room < 0 && named.length > 0) break
    named.push(fault)
  }
  return new ValidationError(named)
}

/** Bytes of a body as JSON. */
function writtenBytes (body: unknown): number {
  try {
    return Buffer.byteLength(JSON.stringify(body) ?? '')
  } catch {
    // An application's own parser may return a value that JSON cannot hold.
    return 0
  }
}
