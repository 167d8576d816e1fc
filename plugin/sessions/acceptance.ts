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
import type { EventJournal, JournalOrigin } from './backup.ts'
import { isSessionId } from './session-id.ts'
import type { TetherSession } from './session.ts'
import type { JournalEntry } from './snapshot.ts'
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
      return found === null ? this.#acceptElsewhere(id as string, request, submission) : this.receive(found, submission)
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
        if (found !== null) return await this.receive(found, submission)
      }
      throw new UnavailableError()
    } catch (error) {
      return refusedFor(error)
    }
  }

  /** Accepts a submission for a session that is here: at once, or when the engine's journal has it. */
  receive (session: TetherSession, submission: Submission): Outcome | Promise<Outcome> {
    const journal = session.backup?.journal ?? null
    return journal === null || submission.event === leaveEvent ? this.accept(session, submission) : this.#acceptWritten(session, journal, submission)
  }

  async #acceptWritten (session: TetherSession, journal: EventJournal, submission: Submission): Promise<Outcome> {
    try {
      this.#admit(session, submission)
      const events = this.#read(session, submission)
      this.acknowledge(session, submission.lastEventId)
      const weight = this.#weightOf(submission, events)
      let plan: Plan | null = null
      return await journal.write(events.length * weight, () => {
        this.#admit(session, submission)
        plan = this.#plan(session, events, submission)
        return plan.fresh === 0 ? null : entryOf(submission)
      }, () => {
        this.#admit(session, submission)
        const known = this.#enter(session, plan!, submission, originOf(plan!, entryOf(submission), false))
        return { isAccepted: true, status: submission.isForm ? 204 : 202, seq: session.acceptedSeq, known }
      })
    } catch (error) {
      return refusedFor(error)
    }
  }

  /**
   * Accepts what a node that died had accepted, and that may have run there.
   *
   * @returns an error for what this version of the application refuses; null otherwise
   */
  redeliver (session: TetherSession, entry: JournalEntry): unknown {
    const submission: Submission = { ...entry, lastEventId: undefined, waiter: () => {} }
    try {
      let done = 0
      const events = this.#read(session, submission).filter((event) => event.seq === 0 ? isPing(event) || done++ >= entry.done : event.seq > session.acceptedSeq)
      const plan = this.#plan(session, events, submission, true)
      const isNumbered = events.some(({ seq }) => seq !== 0)
      this.#enter(session, plan, isNumbered ? { ...submission, waiter: null } : submission, originOf(plan, entry, true))
      return null
    } catch (error) {
      return error
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
    this.#admit(session, submission)
    let known = 0
    if (submission.event === leaveEvent) session.leave()
    const events = submission.event === leaveEvent ? null : this.#read(session, submission)
    // First: a reply that the client has makes room for a request.
    this.acknowledge(session, submission.lastEventId)
    if (events !== null) known = this.#enter(session, this.#plan(session, events, submission), submission, null)
    return { isAccepted: true, status: submission.isForm ? 204 : 202, seq: session.acceptedSeq, known, durable: session.durable }
  }

  /** Throws if the session takes nothing now. */
  #admit (session: TetherSession, submission: Submission): void {
    if (this.#endpoint.keeper?.isServing === false) throw new UnavailableError()
    // A page that leaves does not ask again.
    if (session.isAway && (!session.isOpen || submission.event !== leaveEvent)) throw new SessionMovedError()
    if (!session.isOpen) throw this.#endpoint.runtime.draining ? new DrainingError() : new SessionClosedError()
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

  /**
   * Says what becomes of the events of a submission. Throws if they cannot all be taken.
   *
   * @param all the events of the submission, which a fault names by their places
   * @param isAdmitted whether their room was counted before
   */
  #plan (session: TetherSession, all: readonly CheckedEvent[], submission: Submission, isAdmitted = false): Plan {
    const events = all.some(isPing) ? all.filter((event) => !isPing(event)) : all
    if (events.length < all.length && !isAdmitted && !session.admitPings(all.length - events.length)) throw new PingLimitError()
    const { sender } = submission
    const { contract, limits: { maxRequests } } = this.#endpoint
    const due = session.acceptedSeq + 1
    let expected = due
    let skipped = 0
    let known = 0
    let requests = 0
    for (const event of events) {
      const { name, seq } = event
      if (seq > expected) {
        if (!isAdmitted) throw new SequenceError(seq, due)
        // What this version of the application refuses has left a hole.
        expected = seq
      }
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
    const weight = events.length === 0 ? 0 : this.#weightOf(submission, events)
    if (!isAdmitted) {
      if (fresh > 0 && !session.hasCapacity(fresh, fresh * weight)) throw new BusyError()
      if (requests > 0 && !session.hasRequestRoom(requests)) throw new BusyError('The session has too many requests without a reply, or with one that the client has not acknowledged')
    }
    return { all, events, fresh, weight, known, due, isNumbered: expected > due }
  }

  #weightOf ({ bytes, body }: Submission, { length }: readonly CheckedEvent[]): number {
    return this.#endpoint.runtime.limits.commandWeight + (bytes ?? writtenBytes(body)) / length
  }

  /** Queues all events of a plan, and takes their numbers in the same step. Returns {@link Accepted.known}. */
  #enter (session: TetherSession, { all, events, weight, known, due, isNumbered }: Plan, { sender, waiter = null }: Submission, origin: JournalOrigin | null): number {
    if (isNumbered && (sender ?? session.takers) !== null) (session.takers ??= new NumberTakers()).note(sender, due)
    if (events.length === 1) acceptFresh(session, events, weight, waiter, origin)
    else if (events.length > 0) shareContext(() => acceptFresh(session, events, weight, waiter, origin))
    if (events.length > 0) {
      const { budget } = this.#endpoint.runtime
      if (budget.isExceeded) budget.onExceeded()
    }
    if (events.length < all.length) for (const event of all) if (isPing(event)) session.answerPing((event.data as Ping).id)
    return known
  }
}

/** What becomes of the events of a submission. */
interface Plan {
  readonly all: readonly CheckedEvent[]
  /** All but the pings. */
  readonly events: readonly CheckedEvent[]
  /** Number of those that are new. */
  readonly fresh: number
  /** Bytes of memory of each. */
  readonly weight: number
  /** See {@link Accepted.known}. */
  readonly known: number
  /** The number of the next event, before. */
  readonly due: number
  /** Whether they take numbers. */
  readonly isNumbered: boolean
}

/** A submission for the engine's journal. */
function entryOf ({ event, body, isForm, bytes, sender }: Submission): JournalEntry {
  return { event, body, isForm, bytes, sender, done: 0 }
}

function originOf ({ events }: Plan, entry: JournalEntry, isRedelivered: boolean): JournalOrigin {
  return { isRedelivered, entry, count: entry.done + events.filter(({ seq }) => seq === 0).length }
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
function acceptFresh (session: TetherSession, events: readonly CheckedEvent[], weight: number, waiter: Submission['waiter'] | null, origin: JournalOrigin | null): void {
  for (const event of events) {
    if (event.seq === 0 || event.seq > session.acceptedSeq) session.accept(event.name, event.data, event.seq, weight, waiter, origin)
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
