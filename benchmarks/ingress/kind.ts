import type { Request } from 'autocannon'
import type { LibraryKind } from '../harness/process/library.ts'
import { liveUrl } from '../harness/streams/socket-stream.ts'
import { envelope, eventName, rangeSet } from './event.ts'
import type { ServerKind } from './server.ts'

/** A measured way of taking events. */
export interface Kind extends LibraryKind {
  readonly server: ServerKind
  /** The request that posts one event to a session; null where sessions have WebSockets. */
  readonly request: ((session: string) => Request) | null
}

export const baseline = 'bare'
export const control = 'bare again'

const json = { 'content-type': 'application/json' }
/** Header with the length of a session's id: any route must know the sender of an event, by such a header or a cookie. */
const somebody = 'A'.repeat(24)

export const kinds: readonly Kind[] = [
  { name: baseline, server: 'bare', request: postBare },
  { name: control, server: 'bare', request: postBare },
  {
    name: 'tether, envelope',
    server: 'tether',
    request: postEnvelope
  },
  {
    name: 'tether, by path',
    server: 'tether',
    request: (session) => ({
      method: 'POST',
      path: `${liveUrl}/${eventName}`,
      headers: { ...json, 'x-tether-session': session },
      body: JSON.stringify(rangeSet)
    })
  },
  { name: 'tether, envelope with eyes', server: 'tether eyes', request: postEnvelope },
  { name: 'tether, WebSocket', server: 'tether websocket', request: null }
]

/** Kinds that are measured a second time with another build of the library. */
export const comparableKinds = kinds.filter(({ server }) => server !== 'bare' && server !== 'tether eyes')

function postEnvelope (session: string): Request {
  return { method: 'POST', path: liveUrl, headers: { ...json, 'x-tether-session': session }, body: envelope }
}

function postBare (): Request {
  return { method: 'POST', path: '/events', headers: { ...json, 'x-tether-session': somebody }, body: JSON.stringify(rangeSet) }
}
