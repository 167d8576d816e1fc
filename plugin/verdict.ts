import type { FastifyRequest } from 'fastify'
import { takenMark } from './control-frame.ts'

export type { Verdict } from '../schemas/verdict.ts'

/** What a GET says of the session that it wants. */
export interface Claim {
  /** The session it names, by its id or by the claim that `prepare` gave; null for none. */
  readonly id: string | null
  /** Number of the last update that the reader has; 0 when it does not say. */
  readonly seq: number
  /** The reader counts updates itself: it named its session in a header. */
  readonly counted: boolean
  /** Another stream took its session over, and told it so. */
  readonly taken: boolean
  /** It names a session in a way that cannot be right. */
  readonly malformed: boolean
  /** It stands in the query, which takes claims only. */
  readonly prepared: boolean
}

const lastEventIdShape = new RegExp(`^([A-Za-z0-9_-]{24})\\.(0|[1-9][0-9]{0,14}|${takenMark})$`)

/** Reads `<session>.<number>`; `seq` is null for the mark of a stream that was taken over. Null for anything else. */
export function parseLastEventId (value: string): { id: string, seq: number | null } | null {
  const match = lastEventIdShape.exec(value)
  return match === null ? null : { id: match[1]!, seq: match[2] === takenMark ? null : Number(match[2]) }
}

/**
 * @param header value of `X-Tether-Session`
 * @param lastEventId value of `Last-Event-ID`
 * @param query value of `tether-session` in the query
 */
export function readClaim (header: string | null, lastEventId: string | null, query: string | null): Claim {
  const counted = header !== null
  const named = header === null || header === 'new' ? null : header
  const claim = { id: named, seq: 0, counted, taken: false, malformed: false, prepared: false }
  if (lastEventId === null) {
    return named === null && query !== null ? { ...claim, id: query, prepared: true } : claim
  }
  const last = parseLastEventId(lastEventId)
  if (last === null || (counted && named !== last.id)) return { ...claim, id: null, malformed: true }
  return { ...claim, id: last.id, seq: last.seq ?? 0, taken: last.seq === null }
}

/** The claim in the query; null for none. */
export function preparedClaim (request: FastifyRequest): string | null {
  const id = (request.query as Record<string, unknown> | null | undefined)?.['tether-session']
  return typeof id === 'string' && id !== '' ? id : null
}
