import type { FastifyRequest } from 'fastify'
import type { Verdict } from '../../schemas/verdict.ts'
import type { Claim } from '../protocol/claim.ts'
import { goodbyeFrame, type TurnedAway } from '../protocol/control-frame.ts'
import type { Stream } from '../streams/stream.ts'
import type { Endpoint } from './endpoint.ts'
import type { SessionKeeper, Whereabouts } from './keeper.ts'
import { isSessionId } from './session-id.ts'
import type { TetherSession } from './session.ts'

/** A transport's answers to a claim. */
export interface Entrance {
  /** Opens the stream. Called when its session exists. */
  open: () => Stream | Promise<Stream>
  /** Tells the client that its session was closed for good, so that it does not come back. */
  gone: () => void
  /** Tells the client that there is no room now, or no way to the session. */
  turnAway: (reason: TurnedAway) => void
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
  const { keeper } = endpoint
  if (keeper !== null && !keeper.isServing) return refused(entrance.turnAway('unavailable'))
  // It is not known yet whether the session will be here.
  for (let moving = movingSession(endpoint, claim); moving !== null; moving = movingSession(endpoint, claim)) await moving
  let judged: Judgement | 'elsewhere' | 'full' | 'unavailable' = judge(endpoint, claim, request)
  /** Whether the claim of a session that another node has prepared led here. */
  let isClaimedElsewhere = false
  if (judged === 'elsewhere') {
    judged = await bring(endpoint, keeper!, claim, request)
    if (endpoint.runtime.draining) return refused(entrance.turnAway('draining'))
    if (judged === 'unavailable') return refused(entrance.turnAway('unavailable'))
    if (judged === 'full') return refused(entrance.turnAway('session-limit'))
    isClaimedElsewhere = judged !== 'gone' && judged.verdict === 'new'
  }
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
    abort(endpoint, session, isNew)
    return refused(entrance.turnAway('session-limit'))
  }
  if (keeper !== null && !session.everConnected && !await keeper.announce(session)) {
    abort(endpoint, session, isNew)
    return refused(entrance.turnAway('unavailable'))
  }
  let stream: Stream
  let attached: Verdict | null
  try {
    stream = await entrance.open()
    if (stream.gone || stream.closing) return refused(abort(endpoint, session, isNew))
    if (!session.isOpen) {
      // The session closed, or left this node, while the request's hooks ran.
      stream.close(goodbyeFrame({ reason: session.isAway ? 'moved' : 'closed', reconnect: !session.isClosedForGood }), endpoint.runtime.limits.shutdownMs, 'closed')
      return null
    }
    attached = session.attach(stream, verdict, claim.seq, claim.counted, arrival)
  } catch (error) {
    abort(endpoint, session, isNew)
    throw error
  }
  if (attached === null) return null
  registry.moved(session, connection)
  if (isClaimedElsewhere) keeper!.claimEnded(claim.id!)
  session.queueHook('onConnect', { ...endpoint.context, request, verdict: attached, protocol: stream.protocol, restored: session.takeRestored() })
  if (attached === 'gap') endpoint.topics?.refresh(session)
  else if (attached !== 'resumed') endpoint.topics?.subscribeByUrl(session, request.query)
  return session
}

/** Settles when the session of a claim has left this node, or stays; null if it does not leave. */
function movingSession ({ sessions, claims }: Endpoint, { id, prepared }: Claim): Promise<void> | null {
  if (id === null) return null
  const session = claims.get(id) ?? (prepared ? undefined : sessions.get(id))
  return session?.isLeaving === true ? session.moving : null
}

/** The session for a claim, null for a new one; `gone` if the browser must stop its retries. */
type Judgement = { session: TetherSession | null, verdict: Verdict } | 'gone'

const expired = { session: null, verdict: 'expired' } as const

/** Brings the session of a claim here, from another node or from the engine. */
async function bring (endpoint: Endpoint, keeper: SessionKeeper, claim: Claim, request: FastifyRequest): Promise<Judgement | 'full' | 'unavailable'> {
  const boundTo = endpoint.boundTo(request)
  let id = claim.id!
  // A browser whose stream a newer one replaced must stop its retries on every node.
  if (claim.taken) return await keeper.isKept(id) ? 'gone' : expired
  // It may have opened a stream at another node since.
  const hasLeft = () => isGone(request)
  let isByClaim = claim.prepared
  let where: Whereabouts = isByClaim ? 'absent' : await keeper.fetch(id, boundTo, hasLeft)
  if (where === 'absent') {
    const claimed = await keeper.claimed(id)
    if (claimed === 'unavailable') return claimed
    if (claimed === 'absent') return expired
    id = claimed.id
    isByClaim = true
    where = await keeper.fetch(id, boundTo, hasLeft)
  }
  if (where === 'ended') return 'gone'
  if (where === 'absent' || where === 'foreign') return expired
  if (where !== 'here') return where
  const session = endpoint.sessions.get(id)
  // Another request may have taken it away again.
  if (session === undefined || session.isLeaving || !session.isOpen) return 'unavailable'
  if (session.boundTo !== boundTo) return expired
  if (session.everConnected) return isByClaim ? expired : { session, verdict: 'resumed' }
  session.claim()
  return { session, verdict: 'new' }
}

/** As {@link Judgement}; `elsewhere` if another node may have the session. */
function judge (endpoint: Endpoint, claim: Claim, request: FastifyRequest): Judgement | 'elsewhere' {
  if (claim.malformed) return expired
  if (claim.id === null) return { session: null, verdict: 'new' }
  // A query may name only a claim: logs keep queries, and an id is secret.
  const session = endpoint.claims.get(claim.id) ?? (claim.prepared ? undefined : endpoint.sessions.get(claim.id))
  if (session === undefined) {
    const isBuried = endpoint.registry.isClaimBuried(claim.id) || (!claim.prepared && endpoint.registry.isBuried(claim.id))
    if (isBuried) return 'gone'
    return endpoint.keeper !== null && isSessionId(claim.id) ? 'elsewhere' : expired
  }
  if (session.boundTo !== endpoint.boundTo(request)) return expired
  if (!session.isOpen) return session.isClosedForGood ? 'gone' : expired
  if (claim.taken) return 'gone'
  // An earlier request may still wait for its hooks, or its client may have left. The later request wins.
  if (!session.everConnected) {
    session.claim()
    return { session, verdict: 'new' }
  }
  return { session, verdict: 'resumed' }
}

function abort (endpoint: Endpoint, session: TetherSession, isNew: boolean): void {
  if (isNew) session.destroy()
  else endpoint.awaitStream(session)
}

/** Whether the connection of a request has ended, or its stream on one. */
function isGone ({ raw: { socket } }: FastifyRequest): boolean {
  return socket?.destroyed || socket?.writableEnded
}

function refused (_told: void): null {
  return null
}
