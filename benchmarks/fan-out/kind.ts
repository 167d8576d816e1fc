import type { BroadcastKind } from '../harness/broadcast/contestant.ts'
import { countedHeaders, exactHeaders } from '../harness/streams/socket-stream.ts'

export interface Kind extends BroadcastKind {
  /** The least work that Node can do for readers of this protocol. */
  readonly floor: string
}

export const bare = 'bare'
export const floor = 'floor'
export const counted = 'tether counted'
export const control = 'tether counted again'
export const exact = 'tether exact'
export const watched = 'tether counted with eyes'
export const betterSse = 'better-sse'
export const fastifySse = '@fastify/sse'
const http2Floor = 'http2 floor'
const websocketFloor = 'websocket floor'
const fastifyWebsocket = '@fastify/websocket'

const upgradeHeaders = {
  connection: 'upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA=='
}
const hello = JSON.stringify({ session: 'new' })
/** A text frame with a mask of zeros, which changes nothing. */
const opening = String.fromCharCode(0x81, 0x80 | hello.length, 0, 0, 0, 0) + hello

/** Event streams over HTTP/1.1. */
export const usualKinds: readonly Kind[] = [
  { name: bare, server: bare, headers: exactHeaders, floor },
  { name: 'bare again', server: bare, headers: exactHeaders, floor },
  { name: floor, server: floor, headers: exactHeaders, floor },
  { name: 'floor again', server: floor, headers: exactHeaders, floor },
  { name: counted, server: 'tether', headers: countedHeaders, floor },
  { name: exact, server: 'tether', headers: exactHeaders, floor },
  { name: betterSse, server: betterSse, headers: exactHeaders, floor },
  { name: fastifySse, server: fastifySse, headers: exactHeaders, floor }
]

/** Other carriers, each beside its own floor. */
export const carrierKinds: readonly Kind[] = [
  { name: http2Floor, server: http2Floor, headers: exactHeaders, protocol: 'http2', floor: http2Floor },
  { name: 'tether http2', server: 'tether http2', headers: countedHeaders, protocol: 'http2', floor: http2Floor },
  { name: websocketFloor, server: websocketFloor, headers: upgradeHeaders, floor: websocketFloor },
  { name: 'tether websocket', server: 'tether websocket', headers: upgradeHeaders, opening, floor: websocketFloor },
  { name: fastifyWebsocket, server: fastifyWebsocket, headers: upgradeHeaders, floor: websocketFloor }
]

/** The kinds of workloads that need groups or sessions, twice as a control. */
export const sessionKinds: readonly Kind[] = [
  ...usualKinds.filter(({ name }) => name === counted || name === exact),
  { name: control, server: 'tether', headers: countedHeaders, floor }
]

/** With metrics, traces and the inspector, by name only. */
export const watchedKinds: readonly Kind[] = [{ name: watched, server: 'tether eyes', headers: countedHeaders, floor }]

/** Kinds that are measured a second time with another build of the library. */
export const comparableKinds = [...usualKinds, ...carrierKinds].filter(({ server }) => server.startsWith('tether'))
