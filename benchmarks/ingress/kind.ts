import type { Request } from 'autocannon'
import { eventName, rangeSet } from './event.ts'

/** A way of taking events that is measured. */
export interface Kind {
  readonly name: string
  readonly server: 'bare' | 'tether'
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

function postBare (): Request {
  return { method: 'POST', path: '/events', headers: json, body: JSON.stringify(rangeSet) }
}
