import type { FastifyRequest } from 'fastify'
import { defaults } from '../../schemas/defaults.ts'
import { BindingError, BusyError, DrainingError, PingLimitError, SchemaError, SequenceError, SessionClosedError, SessionLimitError, SessionMovedError, SessionNotFoundError, UnavailableError, ValidationError, type Fault } from '../../schemas/errors.ts'
import { shareContext } from '../commands/command-context.ts'
import { readEnvelopes, readEventData, type CheckedEvent } from '../contract/envelope-reader.ts'
import { cutFault } from '../contract/fault-list.ts'
import { pingEvent, type Ping } from '../contract/ping-reader.ts'
import { parseLastEventId } from '../protocol/claim.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { Endpoint } from './endpoint.ts'
import type { Whereabouts } from './keeper.ts'
import { NumberTakers } from './number-takers.ts'
import { isSessionId } from './session-id.ts'
import type { TetherSession } from './session.ts'
import type { Accepted, Outcome, Refused, Submission } from './submission.ts'

export type { Outcome, Refused, Submission } from './submission.ts'

/** The event that a page sends when it goes away. No contract can declare it. */
export const leaveEvent = 'tether.close'

/** Most rounds of a submission whose session leaves again before it arrives. */
const mostAttempts = 4

/** Accepts the submissions of one endpoint's clients: all events of a submission, or none. */
export class Acceptance {
  readonly #endpoint: Endpoint

  constructor (endpoint: Endpoint) {
    this.#endpoint = endpoint
  }

  get runtime (): Runtime { return this.#endpoint.runtime }

  /**
   * Accepts a submission that names its session by id.
   *
   * @param request the request for `bind`
   */
  acceptFor (id: unknown, request: FastifyRequest, submission: Submission): Outcome | Promise<Outcome> {
    try {
      const found = this.#find(id, request)
      return found === null ? this.#acceptElsewhere(id as string, request, submission) : this.#apply(found, submission)
    } catch (error) {
      return refusedFor(error)
    }
  }

  /** Accepts a submission whose session another node of the cluster may have. */
  async #acceptElsewhere (id: string, request: FastifyRequest, submission: Submission): Promise<Outcome> {
    const keeper = this.#endpoint.keeper!
    try {
      const boundTo = this.#endpoint.boundTo(request)
      for (let attempt = 0; attempt < mostAttempts; attempt++) {
        const result = await keeper.forward(id, boundTo, submission)
        if (typeof result === 'object') return result
        if (result !== 'here') throw errorFor(result)
        // It may be leaving again.
        const found = this.#find(id, request)
        if (found !== null) return this.#apply(found, submission)
      }
      throw new UnavailableError()
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

  /** The session of an id; null if another node may have it. */
  #find (id: unknown, request: FastifyRequest): TetherSession | null {
    if (typeof id !== 'string' || id === '') throw new ValidationError([{ path: '', message: 'names no session: its id belongs in the header X-Tether-Session' }])
    const endpoint = this.#endpoint
    const session = endpoint.sessions.get(id)
    if (session === undefined) {
      if (endpoint.registry.isBuried(id)) throw new SessionClosedError()
      if (endpoint.keeper === null || !isSessionId(id)) throw new SessionNotFoundError()
      return null
    }
    if (session.boundTo !== endpoint.boundTo(request)) throw new BindingError()
    return session.isAway && endpoint.keeper !== null ? null : session
  }

  #apply (session: TetherSession, submission: Submission): Accepted {
    if (this.#endpoint.keeper?.isServing === false) throw new UnavailableError()
    // A page that leaves does not ask again.
    if (session.isAway && (!session.isOpen || submission.event !== leaveEvent)) throw new SessionMovedError()
    if (!session.isOpen) throw this.#endpoint.runtime.draining ? new DrainingError() : new SessionClosedError()
    let known = 0
    if (submission.event === leaveEvent) session.leave()
    const events = submission.event === leaveEvent ? null : this.#read(session, submission)
    // First: a reply that the client has makes room for a request.
    this.acknowledge(session, submission.lastEventId)
    if (events !== null) known = this.#take(session, events, submission)
    return { isAccepted: true, status: submission.isForm ? 204 : 202, seq: session.acceptedSeq, known }
  }

  #read (session: TetherSession, { event, body, isForm, waiter }: Submission): CheckedEvent[] {
    const { contract, limits } = this.#endpoint
    const faults: Fault[] = []
    let events: CheckedEvent[]
    try {
      events = event === null ? readEnvelopes(body, contract, limits.maxBatch, faults) : readEventData(event, body, isForm, contract, faults, waiter != null)
    } catch (error) {
      // The fault is the application's, which learns of it as of a handler that threw.
      if (error instanceof SchemaError) this.#endpoint.report(session, error.cause, error.event)
      throw error
    }
    if (faults.length > 0) throw refusal(faults)
    return events
  }

  /** Takes all events or none. Returns {@link Accepted.known}. */
  #take (session: TetherSession, events: readonly CheckedEvent[], submission: Submission): number {
    const queued = events.some(isPing) ? events.filter((event) => !isPing(event)) : events
    const pings = events.length - queued.length
    if (pings > 0 && !session.admitPings(pings)) throw new PingLimitError()
    const known = queued.length === 0 ? 0 : this.#queue(session, queued, events, submission)
    if (pings > 0) for (const event of events) if (isPing(event)) session.answerPing((event.data as Ping).id)
    return known
  }

  /**
   * Queues all events or none, and takes their numbers in the same step. Returns {@link Accepted.known}.
   *
   * @param all the events of the submission, which a fault names by their places
   */
  #queue (session: TetherSession, events: readonly CheckedEvent[], all: readonly CheckedEvent[], { bytes, body, sender, waiter = null }: Submission): number {
    const { contract, limits: { maxRequests } } = this.#endpoint
    const due = session.acceptedSeq + 1
    let expected = due
    let skipped = 0
    let known = 0
    let requests = 0
    for (const event of events) {
      const { name, seq } = event
      if (seq > expected) throw new SequenceError(seq, due)
      // It would never fit. The place tells a client where to divide.
      if ((seq === 0 || seq === expected) && contract.isRequest(name) && ++requests > maxRequests) throw refusal([{ path: `/${all.indexOf(event)}`, message: `is request ${requests} of this POST, which may have ${maxRequests}` }])
      if (seq === 0) continue
      if (seq === expected) expected++
      else {
        skipped++
        if (sender === null || (seq < due && session.takers?.wasTaken(sender, seq) !== true)) known = skipped
      }
    }
    const fresh = events.length - skipped
    const weight = this.#endpoint.runtime.limits.commandWeight + (bytes ?? writtenBytes(body)) / events.length
    if (fresh > 0 && !session.hasCapacity(fresh, fresh * weight)) throw new BusyError()
    if (requests > 0 && !session.hasRequestRoom(requests)) throw new BusyError('The session has too many requests without a reply, or with one that the client has not acknowledged')
    if (expected > due && (sender ?? session.takers) !== null) (session.takers ??= new NumberTakers()).note(sender, due)
    if (events.length === 1) acceptFresh(session, events, weight, waiter)
    else shareContext(() => acceptFresh(session, events, weight, waiter))
    const { budget } = this.#endpoint.runtime
    if (budget.isExceeded) budget.onExceeded()
    return known
  }
}

function errorFor (where: Exclude<Whereabouts, 'here'>): Error {
  switch (where) {
    case 'absent': return new SessionNotFoundError()
    case 'ended': return new SessionClosedError()
    case 'foreign': return new BindingError()
    case 'full': return new SessionLimitError()
    case 'unavailable': return new UnavailableError()
  }
}

function isPing ({ name }: CheckedEvent): boolean {
  return name === pingEvent
}

/** Queues only new events. An event accepted before is acknowledged again, but does not run again. */
function acceptFresh (session: TetherSession, events: readonly CheckedEvent[], weight: number, waiter: Submission['waiter'] | null): void {
  for (const event of events) {
    if (event.seq === 0 || event.seq > session.acceptedSeq) session.accept(event.name, event.data, event.seq, weight, waiter)
  }
}

/** Errors after which a retry may help. */
const temporary = [BusyError, PingLimitError, DrainingError, UnavailableError, SessionMovedError, SessionLimitError]

/** The outcome for a thrown value, also for one that a transport caught while it read the submission. */
export function refusedFor (error: unknown): Refused {
  const isTemporary = temporary.some((Class) => error instanceof Class)
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
