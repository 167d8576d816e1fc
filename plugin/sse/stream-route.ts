import { isNativeError } from 'node:util/types'
import type { FastifyReply, FastifyRequest } from 'fastify'
import Negotiator from 'negotiator'
import { defaults } from '../../schemas/defaults.ts'
import { DrainingError, NotAcceptableError, SessionLimitError, UnavailableError } from '../../schemas/errors.ts'
import { messageOf } from '../../schemas/thrown.ts'
import { preparedClaim, readClaim, type Claim } from '../protocol/claim.ts'
import { turnedAwayFrame, type TurnedAway } from '../protocol/control-frame.ts'
import { lastEventId } from '../protocol/last-event-id.ts'
import type { Endpoint } from '../sessions/endpoint.ts'
import { nextArrival, openSession } from '../sessions/opening.ts'
import type { ResolvedUpgradeOptions } from '../streams/transport.ts'
import { eventStreamHeaders } from './event-stream-head.ts'
import { answerHead, hasLeft, openEventStream } from './event-stream.ts'
import { endConnection } from './late-answer.ts'
import { standsBehindStream } from './pipelined-responses.ts'

/** The media type of the stream, without and with its parameter: a client may name either. */
const mediaTypes = ['text/event-stream', eventStreamHeaders['content-type']]

const arrivals = new WeakMap<FastifyRequest, number>()

/** Notes the arrival of a request. Runs before hooks that may take long. */
export function noteArrival (request: FastifyRequest): void {
  arrivals.set(request, nextArrival())
}

/**
 * Answers `GET url` with the event stream of a session.
 *
 * Returns no promise. When a handler's promise settles, Fastify may answer the request itself: it does
 * so if a middleware makes it believe that nothing was sent, even while the stream is open.
 */
export function answerWithStream (endpoint: Endpoint, options: ResolvedUpgradeOptions, request: FastifyRequest, reply: FastifyReply): void {
  openSessionStream(endpoint, options, request, reply).catch((thrown: unknown) => { reply.send(errorOf(thrown)) })
}

/** Fastify answers only an error as an error, but code may throw any value. */
export function errorOf (thrown: unknown): unknown {
  if (isNativeError(thrown) || thrown instanceof Error) return thrown
  const { statusCode } = (thrown ?? {}) as { statusCode?: unknown }
  return Object.assign(new Error(messageOf(thrown), { cause: thrown }), typeof statusCode === 'number' ? { statusCode } : {})
}

async function openSessionStream (endpoint: Endpoint, options: ResolvedUpgradeOptions, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  if (!acceptsEventStream(request)) throw new NotAcceptableError()
  if (request.method === 'HEAD') {
    answerHead(request, reply, options, endpoint.runtime)
    return
  }
  const claim = readClaim(headerOf(request), lastEventId(request), preparedClaim(request))
  if (standsBehindStream(reply.raw, request.raw.socket)) {
    // The session's stream could not begin before the stream ahead of it ends. This short answer waits in its place.
    endpoint.registry.refusals.pipelined++
    // Every client gets the answer for an EventSource: a refusal would be logged as an error, and counting clients do not pipeline.
    return turnAway(reply, { ...claim, counted: false }, 'session-limit')
  }
  const arrival = arrivals.get(request) ?? nextArrival()
  // The request lives as long as its stream, and the entry with it.
  arrivals.delete(request)
  let isOpening = false
  try {
    await openSession(endpoint, claim, request, {
      open: () => {
        isOpening = true
        return openEventStream(request, reply, options, endpoint.runtime)
      },
      gone: () => {
        endConnection(reply, endpoint.runtime)
        reply.code(204).send()
      },
      turnAway: (reason) => {
        endConnection(reply, endpoint.runtime)
        turnAway(reply, claim, reason)
      }
    }, arrival)
  } catch (error) {
    // A reply that is over cannot take an error, and no client would read it.
    if (isOpening && (reply.sent || hasLeft(reply.raw))) return
    throw error
  }
}

const refusals = { 'session-limit': SessionLimitError, draining: DrainingError, unavailable: UnavailableError }

/**
 * Answers a request when there is no room, or no way to the session. A client that counts gets the status and Retry-After.
 * A browser's EventSource would never reconnect after such a status. It gets a stream that ends
 * at once and says when to reconnect.
 */
function turnAway (reply: FastifyReply, claim: Claim, reason: TurnedAway): void {
  if (claim.counted) {
    reply.header('retry-after', defaults.fixed.retryAfterSeconds)
    throw new refusals[reason]()
  }
  reply.code(200).headers(eventStreamHeaders).send(turnedAwayFrame(reason))
}

function acceptsEventStream (request: FastifyRequest): boolean {
  // An empty list names no preference, like a missing header. The negotiator would read it as a refusal.
  if (request.headers.accept?.trim() === '') return true
  return new Negotiator(request.raw).mediaType(mediaTypes) !== undefined
}

function headerOf (request: FastifyRequest): string | null {
  const header = request.headers['x-tether-session']
  return typeof header === 'string' ? header : null
}
