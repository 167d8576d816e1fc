import type { LinkFactory } from './options.ts'
import { sseLink } from './sse-link.ts'

/** How far the events of a session have come; the next page, or tab, goes on from here. */
export interface Mark {
  /** Number of the last event that is known to be accepted. */
  accepted: number
  /** Events after that one which were sent, or are about to be, and have no answer yet. */
  doubtful: number
}

/** Notes that `count` events are about to be sent, numbered after `accepted`. */
export function advance (mark: Mark, accepted: number, count: number): void {
  const ahead = accepted - mark.accepted
  // An earlier request may still be on its way.
  if (ahead >= 0 && ahead <= mark.doubtful) mark.doubtful = Math.max(mark.doubtful, ahead + count)
  else Object.assign(mark, { accepted, doubtful: count })
}

/**
 * Takes a settled event out of those that wait, and out of the mark.
 *
 * @returns whether it was among them
 */
export function settle (mark: Mark, waiting: Array<{ id: unknown }>, id: unknown): boolean {
  const index = waiting.findIndex((event) => event.id === id)
  if (index < 0) return false
  waiting.splice(index, 1)
  if (index < mark.doubtful) {
    mark.doubtful--
    mark.accepted++
  }
  return true
}

/**
 * Wraps a link so that events are noted before they leave. A page that dies afterwards cannot tell whether they arrived.
 *
 * @param link the link to wrap; default: server-sent events
 * @param note gets the session, the number before the first event, and the number of events; the request waits for what
 * it returns, and is not sent if that rejects
 */
export function markedLink (link: LinkFactory = sseLink, note: (session: string, accepted: number, count: number) => unknown): LinkFactory {
  return (url, options) => {
    const { open, send } = link(url, options)
    return {
      open,
      send: async (claim, body, keepalive) => {
        if (body) {
          // Events settled in this turn leave the mark first.
          await null
          const envelopes = [JSON.parse(body)].flat() as Array<{ seq: number }>
          await note(claim.session!, envelopes[0]!.seq - 1, envelopes.length)
        }
        return send(claim, body, keepalive)
      }
    }
  }
}
