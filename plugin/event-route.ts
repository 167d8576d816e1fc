import type { FastifyReply, FastifyRequest } from 'fastify'
import { defaults } from '../schemas/defaults.ts'
import { BindingError, BusyError, DrainingError, SequenceError, SessionClosedError, SessionNotFoundError, ValidationError, type Fault } from '../schemas/errors.ts'
import { readEnvelopes, readEventData, type CheckedEvent } from './ingress.ts'
import type { SessionHost } from './session-host.ts'
import type { TetherSession } from './session.ts'
import { parseLastEventId } from './verdict.ts'

/** The name under which a page says that it goes away; not an event of any contract. */
export const leaveEvent = 'tether.close'

const sessionField = 'tether-session'

/** Answers `POST url`: an envelope or an array of them. */
export function postEnvelopes (host: SessionHost, maxBatch: number, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const session = findSession(host, request, reply, request.headers['x-tether-session'])
  const faults: Fault[] = []
  const events = readEnvelopes(request.body, host.contract, maxBatch, faults)
  if (faults.length > 0) throw refusal(faults)
  accept(session, events, reply)
  acknowledge(session, request)
  return reply.code(202).send({ seq: session.acceptedSeq })
}

/** Answers `POST url/:event`: the event's data as JSON or as a form, or `tether.close`. */
export function postEvent (host: SessionHost, name: string, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const isForm = /^\s*(application\/x-www-form-urlencoded|multipart\/form-data)/i.test(request.headers['content-type'] ?? '')
  // A button without a form posts no body at all, and means no fields.
  let data: unknown = request.body === undefined ? {} : request.body
  let id = request.headers['x-tether-session']
  if (isRecord(data) && (isForm || name === leaveEvent)) {
    const { [sessionField]: named, ...fields } = data
    id ??= typeof named === 'string' ? named : undefined
    data = fields
  }
  const session = findSession(host, request, reply, id)
  if (name === leaveEvent) session.leave()
  else {
    const faults: Fault[] = []
    const events = readEventData(name, data, isForm, host.contract, faults)
    if (faults.length > 0) throw refusal(faults)
    accept(session, events, reply)
  }
  acknowledge(session, request)
  // 204 leaves the page of a plain form as it is.
  return isForm ? reply.code(204).send() : reply.code(202).send({ seq: session.acceptedSeq })
}

function findSession (host: SessionHost, request: FastifyRequest, reply: FastifyReply, id: string | string[] | undefined): TetherSession {
  if (typeof id !== 'string' || id === '') {
    throw new ValidationError([{ path: '', message: 'names no session: its id belongs in the header X-Tether-Session' }])
  }
  const session = host.sessions.get(id)
  if (session === undefined) throw host.registry.isBuried(id) ? new SessionClosedError() : new SessionNotFoundError()
  if (session.boundTo !== host.boundTo(request)) throw new BindingError()
  if (session.isOpen) return session
  if (!host.runtime.draining) throw new SessionClosedError()
  reply.header('retry-after', defaults.fixed.retryAfterSeconds)
  throw new DrainingError()
}

function refusal (faults: Fault[]): ValidationError {
  return new ValidationError(faults.slice(0, defaults.fixed.faults))
}

/**
 * Queues events, all or none, in the same step that takes their numbers.
 *
 * @throws `FST_ERR_TETHER_SEQUENCE`, `FST_ERR_TETHER_BUSY`
 */
function accept (session: TetherSession, events: CheckedEvent[], reply: FastifyReply): void {
  const due = session.acceptedSeq + 1
  let expected = due
  let known = 0
  for (const event of events) {
    if (event.seq === 0) continue
    if (event.seq > expected) throw new SequenceError(event.seq, due)
    if (event.seq === expected) expected++
    else known++
  }
  if (!session.hasCapacity(events.length - known)) {
    reply.header('retry-after', defaults.fixed.retryAfterSeconds)
    throw new BusyError()
  }
  for (const event of events) {
    // What was accepted before is acknowledged again, and not run again.
    if (event.seq === 0 || event.seq > session.acceptedSeq) session.accept(event.name, event.data, event.seq)
  }
}

/** What the reader says that it has need not be kept for it. */
function acknowledge (session: TetherSession, request: FastifyRequest): void {
  const header = request.headers['last-event-id']
  if (typeof header !== 'string') return
  const last = parseLastEventId(header)
  if (last?.id === session.id && last.seq !== null) session.outbox.acknowledge(last.seq)
}

function isRecord (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
