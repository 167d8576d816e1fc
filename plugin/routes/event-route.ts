import type { FastifyReply, FastifyRequest } from 'fastify'
import { defaults } from '../../schemas/defaults.ts'
import { BindingError, SessionClosedError, SessionNotFoundError, ValidationError, type Fault } from '../../schemas/errors.ts'
import { isRecord } from '../../schemas/record.ts'
import { readEnvelopes, readEventData } from '../contract/envelope-reader.ts'
import { acceptEvents, acknowledge, bodyBytes, checkOpen, leaveEvent, refusal, retryAfterSeconds, type Accepted } from '../sessions/acceptance.ts'
import type { Endpoint } from '../sessions/endpoint.ts'
import type { TetherSession } from '../sessions/session.ts'

const sessionField = 'tether-session'

/** Answers `POST url`: an envelope or an array of them. */
export function postEnvelopes (endpoint: Endpoint, request: FastifyRequest, reply: FastifyReply): void {
  answering(reply, () => {
    const session = findSession(endpoint, request, request.headers['x-tether-session'])
    const faults: Fault[] = []
    const events = readEnvelopes(request.body, endpoint.contract, endpoint.limits.maxBatch, faults)
    if (faults.length > 0) throw refusal(faults)
    const accepted = acceptEvents(session, events, bodyBytes(request.headers, request.body), senderOf(request))
    acknowledge(session, request.headers['last-event-id'])
    noteKnown(reply, accepted)
    reply.code(202).send({ seq: accepted.seq })
  })
}

/** Answers `POST url/:event`: the event's data as JSON or as a form, or `tether.close`. */
export function postEvent (endpoint: Endpoint, name: string, request: FastifyRequest, reply: FastifyReply): void {
  const contentType = request.headers['content-type'] ?? ''
  // As most say it, which spares looking for more.
  const isJson = contentType === 'application/json'
  const isMultipart = !isJson && /^\s*multipart\/form-data/i.test(contentType)
  const isForm = isMultipart || (!isJson && /^\s*application\/x-www-form-urlencoded/i.test(contentType))
  // A parser may leave the fields for a handler to read; without them the event would be another.
  if (isMultipart && request.body === undefined) throw new ValidationError([{ path: '', message: 'is a multipart form, whose fields are not read here' }])
  // A button without a form posts no body at all, and means no fields.
  let data: unknown = request.body === undefined ? {} : request.body
  let id = request.headers['x-tether-session']
  if (isRecord(data) && (isForm || name === leaveEvent)) {
    const { [sessionField]: named, ...fields } = data
    id ??= typeof named === 'string' ? named : undefined
    data = fields
  }
  answering(reply, () => {
    const session = findSession(endpoint, request, id)
    let accepted: Accepted = { seq: session.acceptedSeq, known: 0 }
    if (name === leaveEvent) session.leave()
    else {
      const faults: Fault[] = []
      const events = readEventData(name, data, isForm, endpoint.contract, faults)
      if (faults.length > 0) throw refusal(faults)
      accepted = acceptEvents(session, events, bodyBytes(request.headers, data))
    }
    acknowledge(session, request.headers['last-event-id'])
    noteKnown(reply, accepted)
    // 204 leaves the page of a plain form as it is.
    if (isForm) reply.code(204).send()
    else reply.code(202).send({ seq: accepted.seq })
  })
}

function senderOf (request: FastifyRequest): string | null {
  const sender = request.headers['x-tether-sender']
  return typeof sender === 'string' && sender !== '' && sender.length <= defaults.fixed.senderLength ? sender : null
}

/** A header, so that the body of a 202 is the same however often the same is sent. */
function noteKnown (reply: FastifyReply, { known }: Accepted): void {
  if (known > 0) reply.header('x-tether-known', known)
}

function answering (reply: FastifyReply, answer: () => void): void {
  try {
    answer()
  } catch (error) {
    const seconds = retryAfterSeconds(error)
    if (seconds !== undefined) reply.header('retry-after', seconds)
    throw error
  }
}

function findSession (endpoint: Endpoint, request: FastifyRequest, id: string | string[] | undefined): TetherSession {
  if (typeof id !== 'string' || id === '') {
    throw new ValidationError([{ path: '', message: 'names no session: its id belongs in the header X-Tether-Session' }])
  }
  const session = endpoint.sessions.get(id)
  if (session === undefined) throw endpoint.registry.isBuried(id) ? new SessionClosedError() : new SessionNotFoundError()
  if (session.boundTo !== endpoint.boundTo(request)) throw new BindingError()
  checkOpen(session)
  return session
}
