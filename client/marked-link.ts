import type { LinkFactory } from './options.ts'
import { sseLink } from './sse-link.ts'

/** Progress of a session's events. The next page or tab continues from it. */
export interface Mark {
  /** Number of the last event known to be accepted. */
  accepted: number
  /** Number of events after it that are sent, or about to be, and have no answer yet. */
  doubtful: number
}

/** Notes that `count` events after number `accepted` are about to be sent. */
export function advance (mark: Mark, accepted: number, count: number): void {
  const ahead = accepted - mark.accepted
  // An earlier request may still be on its way.
  if (ahead >= 0 && ahead <= mark.doubtful) mark.doubtful = Math.max(mark.doubtful, ahead + count)
  else Object.assign(mark, { accepted, doubtful: count })
}

/**
 * Removes a settled event from the waiting ones, and moves the mark past it.
 *
 * @returns whether the event was waiting
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
 * Wraps a link so that events are noted before they leave. A page that dies in between cannot say whether they arrived.
 *
 * @param link the link to wrap; default: server-sent events
 * @param note gets the session, the number before the first event, and the number of events. The request waits for its
 * promise, and is not sent if that rejects.
 */
export function markedLink (link: LinkFactory = sseLink, note: (session: string, accepted: number, count: number) => unknown): LinkFactory {
  return (url, options) => {
    const own = link(url, options)
    const { open, send } = own
    return {
      get transport () { return own.transport },
      open,
      send: async (claim, body, keepalive) => {
        if (body) {
          // Events settled in this turn leave the mark first.
          await null
          const envelopes = [JSON.parse(body)].flat() as Array<{ seq?: number }>
          const { seq } = envelopes[0]!
          // A ping has no number.
          if (seq) await note(claim.session!, seq - 1, envelopes.length)
        }
        return send(claim, body, keepalive)
      }
    }
  }
}
