import type { FastifyRequest } from 'fastify'

/** Takes the number's place in the id of a replaced stream's goodbye. A browser that retries that stream sends it back. */
export const takenMark = 'taken'

/** The session that a GET asks for. */
export interface Claim {
  /** The session's id, or the claim from `prepare`; null for none. */
  readonly id: string | null
  /** Number of the reader's last update; 0 if not given. */
  readonly seq: number
  /** Whether the reader counts updates itself. Such a reader sends `X-Tether-Session`. */
  readonly counted: boolean
  /** Whether the id carries {@link takenMark}: a newer stream replaced this reader's stream. */
  readonly taken: boolean
  /** Whether its ids are invalid or contradict each other. */
  readonly malformed: boolean
  /** Whether the id comes from the query, which takes claims only. */
  readonly prepared: boolean
}

const lastEventIdShape = new RegExp(`^([A-Za-z0-9_-]{24})\\.(0|[1-9][0-9]{0,14}|${takenMark})$`)

/** Reads `<session>.<number>`. `seq` is null for {@link takenMark}. Returns null for anything else. */
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
