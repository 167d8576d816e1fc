import type { FastifyRequest } from 'fastify'
import type { Verdict } from '../../schemas/verdict.ts'
import type { Claim } from '../protocol/claim.ts'
import { goodbyeFrame } from '../protocol/control-frame.ts'
import type { Stream } from '../streams/stream.ts'
import type { Endpoint } from './endpoint.ts'
import type { TetherSession } from './session.ts'

/** A transport's answers to a claim. */
export interface Entrance {
  /** Opens the stream. Called when its session exists. */
  open: () => Stream | Promise<Stream>
  /** Tells the client that its session was closed for good, so that it does not come back. */
  gone: () => void
  /** Tells the client that there is no room now. */
  turnAway: (reason: 'session-limit' | 'draining') => void
}

let lastArrival = 0

/** The number of a request, in the order of arrival. */
export function nextArrival (): number {
  return ++lastArrival
}

/**
 * Finds or makes the session of a claim, and gives it its stream.
 *
 * @param arrival number of the request; of two requests for one session, the later gets it
 * @returns the session; null if the client gets none and has its answer.
 * Rejects with an error of `initialState`, `bind` or the entrance; then there is no session.
 */
export async function openSession (endpoint: Endpoint, claim: Claim, request: FastifyRequest, entrance: Entrance, arrival: number): Promise<TetherSession | null> {
  if (endpoint.runtime.draining) return refused(entrance.turnAway('draining'))
  const judged = judge(endpoint, claim, request)
  if (judged === 'gone') return refused(entrance.gone())
  let { session, verdict } = judged
  const isNew = session === null
  const { registry } = endpoint
  const connection = registry.connectionOf(request.raw)
  if (session === null) {
    const applicant = endpoint.applicant(request, connection)
    if (!registry.reserve(applicant.owner, connection)) return refused(entrance.turnAway('session-limit'))
    try {
      session = await endpoint.create(request, applicant, false)
    } catch (error) {
      registry.release(applicant.owner, connection)
      throw error
    }
    // A drain may have begun meanwhile. It closed only the sessions of that moment.
    if (endpoint.runtime.draining) {
      session.destroy()
      return refused(entrance.turnAway('draining'))
    }
  } else if (!session.everConnected && !registry.admits(connection)) {
    // The prepared session keeps its place. A session that had a stream may come back over any connection.
    abort(session, isNew)
    return refused(entrance.turnAway('session-limit'))
  }
  let stream: Stream
  let attached: Verdict | null
  try {
    stream = await entrance.open()
    if (stream.gone || stream.closing) return refused(abort(session, isNew))
    if (!session.isOpen) {
      // The session closed while the request's hooks ran.
      stream.close(goodbyeFrame({ reason: 'closed', reconnect: !session.isClosedForGood }), endpoint.runtime.limits.shutdownMs, 'closed')
      return null
    }
    attached = session.attach(stream, verdict, claim.seq, claim.counted, arrival)
  } catch (error) {
    abort(session, isNew)
    throw error
  }
  if (attached === null) return null
  registry.moved(session, connection)
  session.queueHook('onConnect', { ...endpoint.context, request, verdict: attached, protocol: stream.protocol })
  if (attached === 'gap') endpoint.topics?.refresh(session)
  else if (attached !== 'resumed') endpoint.topics?.subscribeByUrl(session, request.query)
  return session
}

/** The session of a claim; null for a new session; `gone` if the browser must stop its retries. */
function judge (endpoint: Endpoint, claim: Claim, request: FastifyRequest): { session: TetherSession | null, verdict: Verdict } | 'gone' {
  if (claim.malformed) return { session: null, verdict: 'expired' }
  if (claim.id === null) return { session: null, verdict: 'new' }
  // A query may name only a claim: logs keep queries, and an id is secret.
  const session = endpoint.claims.get(claim.id) ?? (claim.prepared ? undefined : endpoint.sessions.get(claim.id))
  if (session === undefined) {
    const isBuried = endpoint.registry.isClaimBuried(claim.id) || (!claim.prepared && endpoint.registry.isBuried(claim.id))
    return isBuried ? 'gone' : { session: null, verdict: 'expired' }
  }
  if (session.boundTo !== endpoint.boundTo(request)) return { session: null, verdict: 'expired' }
  if (!session.isOpen) return session.isClosedForGood ? 'gone' : { session: null, verdict: 'expired' }
  if (claim.taken) return 'gone'
  // An earlier request may still wait for its hooks, or its client may have left. The later request wins.
  if (!session.everConnected) {
    session.claim()
    return { session, verdict: 'new' }
  }
  return { session, verdict: 'resumed' }
}

function abort (session: TetherSession, isNew: boolean): void {
  if (isNew) session.destroy()
  else session.unclaim()
}

function refused (_told: void): null {
  return null
}
