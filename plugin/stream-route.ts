import type { FastifyReply, FastifyRequest } from 'fastify'
import Negotiator from 'negotiator'
import { defaults } from '../schemas/defaults.ts'
import { ArgumentError, DrainingError, NotAcceptableError, SessionLimitError } from '../schemas/errors.ts'
import { goodbyeFrame, turnedAwayFrame } from './control-frame.ts'
import { eventStreamHeaders } from './event-stream-head.ts'
import type { SessionHost } from './session-host.ts'
import type { TetherSession } from './session.ts'
import { SseTransport } from './sse-transport.ts'
import { hasLeft, lastEventId, sendHead } from './sse-upgrade.ts'
import type { Upgrade } from './transport.ts'
import { readClaim, type Claim, type Verdict } from './verdict.ts'

/** As a client may name it: what is sent has the parameter. */
const mediaTypes = ['text/event-stream', eventStreamHeaders['content-type']]

/** Answers `GET url`: finds or makes the session, and gives it its stream. */
export async function openSession (host: SessionHost, upgrade: Upgrade, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  if (!acceptsEventStream(request)) throw new NotAcceptableError()
  if (request.method === 'HEAD') {
    sendHead(reply)
    return
  }
  const claim = readClaim(headerOf(request), lastEventId(request), preparedId(request))
  if (host.runtime.draining) return turnAway(reply, claim, 'draining')
  const judged = judge(host, claim, request)
  if (judged === 'gone') {
    reply.code(204).send()
    return
  }
  let { session, verdict } = judged
  const isNew = session === null
  if (session === null) {
    if (!host.registry.reserve()) return turnAway(reply, claim, 'session-limit')
    try {
      session = await host.create(request, false)
    } catch (error) {
      host.registry.release()
      throw error
    }
    // The server may have begun to stop in the meantime, and has told those who were there.
    if (host.runtime.draining) {
      session.discard()
      return turnAway(reply, claim, 'draining')
    }
  }
  try {
    const stream = await streamOf(upgrade, request, reply)
    if (stream.gone) return abort(session, isNew)
    if (!session.isOpen) {
      // Closed while the request's hooks ran; the client comes back for another.
      stream.finish(goodbyeFrame({ reason: 'closed', reconnect: !session.isClosedForGood }), defaults.fixed.shutdownMs, 'closed')
      return
    }
    verdict = session.attach(stream, verdict, claim.seq, claim.counted)
  } catch (error) {
    abort(session, isNew)
    // A reply that is over cannot take an error, and there is nobody left to read it.
    if (reply.sent || hasLeft(reply.raw)) return
    throw error
  }
  const { hooks, context } = host
  const connected = session
  if (hooks.onConnect !== undefined) connected.queueHook('onConnect', () => hooks.onConnect?.(connected as never, { ...context, request, verdict } as never))
}

/** The session that a claim may have, if any; `gone` tells a browser to stop its retries. */
function judge (host: SessionHost, claim: Claim, request: FastifyRequest): { session: TetherSession | null, verdict: Verdict } | 'gone' {
  if (claim.malformed) return { session: null, verdict: 'expired' }
  if (claim.id === null) return { session: null, verdict: 'new' }
  const session = host.sessions.get(claim.id)
  if (session === undefined) return host.registry.isBuried(claim.id) ? 'gone' : { session: null, verdict: 'expired' }
  if (session.boundTo !== host.boundTo(request)) return { session: null, verdict: 'expired' }
  if (!session.isOpen) return session.isClosedForGood ? 'gone' : { session: null, verdict: 'expired' }
  if (claim.taken) return 'gone'
  if (session.isPending) {
    session.claim()
    return { session, verdict: 'new' }
  }
  return claim.prepared ? { session: null, verdict: 'expired' } : { session, verdict: 'resumed' }
}

async function streamOf (upgrade: Upgrade, request: FastifyRequest, reply: FastifyReply) {
  const transport = await upgrade(request, reply)
  if (transport instanceof SseTransport) return transport.stream
  throw new ArgumentError('upgrade must give the transport that app.tether.sse.upgrade() makes')
}

function abort (session: TetherSession, isNew: boolean): void {
  if (isNew) session.discard()
  else session.unclaim()
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

function preparedId (request: FastifyRequest): string | null {
  const id = (request.query as Record<string, unknown> | null | undefined)?.['tether-session']
  return typeof id === 'string' && id !== '' ? id : null
}
