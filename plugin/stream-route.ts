import type { FastifyReply, FastifyRequest } from 'fastify'
import Negotiator from 'negotiator'
import { defaults } from '../schemas/defaults.ts'
import { ArgumentError, DrainingError, NotAcceptableError, SessionLimitError } from '../schemas/errors.ts'
import { turnedAwayFrame } from './control-frame.ts'
import { eventStreamHeaders } from './event-stream-head.ts'
import { isPipelined } from './pipelined-responses.ts'
import type { SessionHost } from './session-host.ts'
import { nextArrival, openSession } from './session-opening.ts'
import { SseTransport } from './sse-transport.ts'
import { hasLeft, lastEventId } from './sse-upgrade.ts'
import type { Upgrade } from './transport.ts'
import { preparedClaim, readClaim, type Claim } from './verdict.ts'

/** As a client may name it: what is sent has the parameter. */
const mediaTypes = ['text/event-stream', eventStreamHeaders['content-type']]

const arrivals = new WeakMap<FastifyRequest, number>()

/** Notes that a request is there, before hooks that may take long. */
export function noteArrival (request: FastifyRequest): void {
  arrivals.set(request, nextArrival())
}

/** Answers `GET url` with the event stream of a session. */
export async function openEventStream (host: SessionHost, upgrade: Upgrade, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  if (!acceptsEventStream(request)) throw new NotAcceptableError()
  if (request.method === 'HEAD') {
    // The same headers as for a GET, and nothing else.
    await upgrade(request, reply)
    return
  }
  const claim = readClaim(headerOf(request), lastEventId(request), preparedClaim(request))
  if (isPipelined(reply.raw)) {
    // A session would wait for the end of the stream before it, unheard: the answer does, in its place.
    host.registry.refusals.pipelined++
    return turnAway(reply, claim, 'session-limit')
  }
  const arrival = arrivals.get(request) ?? nextArrival()
  // The request lives as long as its stream does.
  arrivals.delete(request)
  let isOpening = false
  try {
    await openSession(host, claim, request, {
      open: () => {
        isOpening = true
        return streamOf(upgrade, request, reply)
      },
      gone: () => { reply.code(204).send() },
      turnAway: (reason) => turnAway(reply, claim, reason)
    }, arrival)
  } catch (error) {
    // A reply that is over cannot take an error, and there is nobody left to read it.
    if (isOpening && (reply.sent || hasLeft(reply.raw))) return
    throw error
  }
}

async function streamOf (upgrade: Upgrade, request: FastifyRequest, reply: FastifyReply) {
  const transport = await upgrade(request, reply)
  if (transport instanceof SseTransport) return transport.stream
  throw new ArgumentError('upgrade must give the transport that app.tether.sse.upgrade() makes')
}

/**
 * There is no room. A reader that counts sees the status and Retry-After; a
 * browser's EventSource would give up for ever on it, so it gets a stream that
 * ends at once and says when to come back.
 */
function turnAway (reply: FastifyReply, claim: Claim, reason: 'session-limit' | 'draining'): void {
  if (claim.counted) {
    reply.header('retry-after', defaults.fixed.retryAfterSeconds)
    throw reason === 'draining' ? new DrainingError() : new SessionLimitError()
  }
  reply.code(200).headers(eventStreamHeaders).send(turnedAwayFrame(reason))
}

function acceptsEventStream (request: FastifyRequest): boolean {
  // An empty list names no preference, as no header does; the negotiator takes it for a refusal.
  if (request.headers.accept?.trim() === '') return true
  return new Negotiator(request.raw).mediaType(mediaTypes) !== undefined
}

function headerOf (request: FastifyRequest): string | null {
  const header = request.headers['x-tether-session']
  return typeof header === 'string' ? header : null
}
