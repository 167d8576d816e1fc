import type { FastifyReply, FastifyRequest } from 'fastify'
import { defaults } from '../../schemas/defaults.ts'
import { ValidationError } from '../../schemas/errors.ts'
import { isRecord } from '../../schemas/record.ts'
import { leaveEvent, type Acceptance, type Outcome } from '../sessions/acceptance.ts'
import type { Accepted } from '../sessions/submission.ts'
import { preferredWait } from './preferred-wait.ts'
import { ReplyWait, type ReplyWaitRuntime } from './reply-wait.ts'
import { endConnection } from '../sse/late-answer.ts'
import { errorOf } from '../sse/stream-route.ts'

const sessionField = 'tether-session'

/** Answers `POST url`: an envelope or an array of them. */
export function postEnvelopes (acceptance: Acceptance, request: FastifyRequest, reply: FastifyReply): void {
  const { headers, body } = request
  answer(acceptance, reply, null, acceptance.acceptFor(headers['x-tether-session'], request, {
    event: null, body, isForm: false, bytes: bytesOf(headers), sender: senderOf(headers), lastEventId: headers['last-event-id']
  }))
}

/**
 * Answers `POST url/:event`: the event's data as JSON or as a form, or `tether.close`.
 *
 * @param runtime where the event is a request, for the wait of its sender; null for any other event
 */
export function postEvent (acceptance: Acceptance, event: string, request: FastifyRequest, reply: FastifyReply, runtime: ReplyWaitRuntime | null = null): void {
  const { headers } = request
  const contentType = headers['content-type'] ?? ''
  // The usual spelling needs no further check.
  const isJson = contentType === 'application/json'
  const isMultipart = !isJson && /^\s*multipart\/form-data/i.test(contentType)
  const isForm = isMultipart || (!isJson && /^\s*application\/x-www-form-urlencoded/i.test(contentType))
  // Some parsers leave the fields to the handler. Without the fields this would be a different event.
  if (isMultipart && request.body === undefined) throw new ValidationError([{ path: '', message: 'is a multipart form, whose fields are not read here' }])
  // A button without a form posts no body. That means no fields.
  let body: unknown = request.body === undefined ? {} : request.body
  let id: unknown = headers['x-tether-session']
  if (isRecord(body) && (isForm || event === leaveEvent)) {
    const { [sessionField]: named, ...fields } = body
    id ??= named
    body = fields
  }
  const seconds = runtime === null ? null : preferredWait(headers.prefer)
  const wait = seconds === null ? null : new ReplyWait(reply, Math.min(seconds, defaults.fixed.replyWaitMs / 1000), runtime!)
  answer(acceptance, reply, wait, acceptance.acceptFor(id, request, {
    event, body, isForm, bytes: bytesOf(headers), sender: null, lastEventId: headers['last-event-id'], waiter: wait === null ? null : (given) => wait.settle(given)
  }))
}

/** Answers at once, or when the session's node has answered. */
function answer (acceptance: Acceptance, reply: FastifyReply, wait: ReplyWait | null, outcome: Outcome | Promise<Outcome>): void {
  if (!(outcome instanceof Promise)) return writeOrWait(reply, wait, outcome)
  outcome.then((settled) => {
    endConnection(reply, acceptance.runtime)
    writeOrWait(reply, wait, settled)
  }).catch((thrown: unknown) => { reply.send(errorOf(thrown)) })
}

/** @throws the error of a refusal, for the application's error handler */
function writeOrWait (reply: FastifyReply, wait: ReplyWait | null, outcome: Outcome): void {
  if (wait === null || !outcome.isAccepted) writeOutcome(reply, outcome)
  else wait.begin(bodyOf(outcome))
}

/** @throws the error of a refusal, for the application's error handler */
function writeOutcome (reply: FastifyReply, outcome: Outcome): void {
  if (!outcome.isAccepted) {
    if (outcome.retryAfter !== undefined) reply.header('retry-after', outcome.retryAfter)
    throw outcome.error
  }
  // A header, so that a repeated submission gets a 202 with the same body.
  if (outcome.known > 0) reply.header('x-tether-known', outcome.known)
  reply.code(outcome.status)
  if (outcome.status === 204) reply.send()
  else reply.send(bodyOf(outcome))
}

function bodyOf ({ seq, durable }: Accepted): object {
  return durable === undefined ? { seq } : { seq, durable }
}

function senderOf ({ 'x-tether-sender': sender }: FastifyRequest['headers']): string | null {
  return typeof sender === 'string' && sender !== '' && sender.length <= defaults.fixed.senderLength ? sender : null
}

/** The body's declared length in bytes; null for a body that was compressed or chunked. */
function bytesOf ({ 'content-length': length, 'content-encoding': encoding }: FastifyRequest['headers']): number | null {
  return length !== undefined && encoding === undefined ? Number(length) : null
}
