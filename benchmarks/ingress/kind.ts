import type { Request } from 'autocannon'
import { eventName, rangeSet } from './event.ts'

/** A way of taking events that is measured. */
export interface Kind {
  readonly name: string
  readonly server: 'bare' | 'tether'
  /** Folder of the build of the library that it runs, where it is not the one that users get. */
  readonly library?: string
  /** How one event is posted, given the session to post it to. */
  request (session: string): Request
}

const json = { 'content-type': 'application/json' }
export const baseline = 'bare'

export const kinds: readonly Kind[] = [
  { name: baseline, server: 'bare', request: postBare },
  { name: 'bare, control', server: 'bare', request: postBare },
  {
    name: 'tether, envelope',
    server: 'tether',
    request: (session) => ({
      method: 'POST',
      path: '/live',
      headers: { ...json, 'x-tether-session': session },
      body: JSON.stringify({ event: eventName, data: rangeSet })
    })
  },
  {
    name: 'tether, by path',
    server: 'tether',
    request: (session) => ({
      method: 'POST',
      path: `/live/${eventName}`,
      headers: { ...json, 'x-tether-session': session },
      body: JSON.stringify(rangeSet)
    })
  }
]

/** Another build of the library, measured beside the present one. */
export function comparedKinds (library: string): Kind[] {
  return kinds.filter(({ server }) => server === 'tether').map((kind) => ({ ...kind, name: `${kind.name}, compared`, library }))
}

/** As long as a session's id: a route must know whose event it is, by a header like this or a cookie. */
const somebody = 'A'.repeat(24)

function postBare (): Request {
  return { method: 'POST', path: '/events', headers: { ...json, 'x-tether-session': somebody }, body: JSON.stringify(rangeSet) }
}
