import type { FastifyRequest } from 'fastify'

/** Names in the query that stand for the header where a client cannot set it, in the order in which they count. */
const parameters = ['last-event-id', 'lastEventId', 'evs_last_event_id']

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** What a request names as the last event that its sender has: the header or, where it is absent or empty, the query. Null for nothing. */
export function lastEventId (request: Pick<FastifyRequest, 'headers' | 'url'>): string | null {
  const header = request.headers['last-event-id']
  if (typeof header === 'string' && header !== '') return decoded(header)
  const { url } = request
  const start = url.indexOf('?') + 1
  if (start === 0) return null
  // Not `request.query`, from which a route's schema may have taken what it does not know.
  const query = new URLSearchParams(url.slice(start))
  for (const name of parameters) {
    const values = query.getAll(name)
    // Of several nobody knows which is meant.
    if (values.length === 1 && values[0] !== '') return values[0]!
  }
  return null
}

/** The standard has the id in UTF-8, and Node gives a header's bytes as characters. What is no UTF-8 stays as it is. */
function decoded (header: string): string {
  if (!/^[\0-\xff]*[\x80-\xff][\0-\xff]*$/.test(header)) return header
  try {
    return utf8.decode(Buffer.from(header, 'latin1'))
  } catch {
    return header
  }
}
