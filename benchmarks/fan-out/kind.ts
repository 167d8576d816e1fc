import type { BroadcastKind } from '../harness/broadcast/contestant.ts'
import { countedHeaders, exactHeaders } from '../harness/streams/socket-stream.ts'

export const bare = 'bare'
export const floor = 'floor'
export const counted = 'tether counted'
export const exact = 'tether exact'
export const betterSse = 'better-sse'
export const fastifySse = '@fastify/sse'
export const fastifyWebsocket = '@fastify/websocket'
const webSocket = 'tether websocket'

const upgradeHeaders = {
  connection: 'upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA=='
}
const hello = JSON.stringify({ session: 'new' })
/** A text frame with a mask of zeros, which changes nothing. */
const opening = String.fromCharCode(0x81, 0x80 | hello.length, 0, 0, 0, 0) + hello

export const kinds: readonly BroadcastKind[] = [
  { name: bare, server: bare, headers: exactHeaders },
  { name: 'bare again', server: bare, headers: exactHeaders },
  { name: floor, server: floor, headers: exactHeaders },
  { name: counted, server: 'tether', headers: countedHeaders },
  { name: exact, server: 'tether', headers: exactHeaders },
  { name: webSocket, server: webSocket, headers: upgradeHeaders, opening },
  { name: betterSse, server: betterSse, headers: exactHeaders },
  { name: fastifySse, server: fastifySse, headers: exactHeaders },
  { name: fastifyWebsocket, server: fastifyWebsocket, headers: upgradeHeaders }
]

/** Kinds that are measured a second time with another build of the library. */
export const comparableKinds = kinds.filter(({ name }) => name === counted || name === exact)
