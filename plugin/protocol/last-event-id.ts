import type { FastifyRequest } from 'fastify'

/** Query parameters for clients that cannot set the header, in order of precedence. */
const parameters = ['last-event-id', 'lastEventId', 'evs_last_event_id']

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The client's last event id: from the header or, if that is absent or empty, from the query. Null for none. */
export function lastEventId (request: Pick<FastifyRequest, 'headers' | 'url'>): string | null {
  const header = request.headers['last-event-id']
  if (typeof header === 'string' && header !== '') return decoded(header)
  const { url } = request
  const start = url.indexOf('?') + 1
  if (start === 0) return null
  // Not `request.query`: a route's schema may have removed unknown parameters from it.
  const query = new URLSearchParams(url.slice(start))
  for (const name of parameters) {
    const values = query.getAll(name)
    // Several values are ambiguous.
    if (values.length === 1 && values[0] !== '') return values[0]!
  }
  return null
}

/** The standard sends the id in UTF-8, but Node returns each byte of a header as a character. Invalid UTF-8 stays as it is. */
function decoded (header: string): string {
  if (!/^[\0-\xff]*[\x80-\xff][\0-\xff]*$/.test(header)) return header
  try {
    return utf8.decode(Buffer.from(header, 'latin1'))
  } catch {
    return header
  }
}
