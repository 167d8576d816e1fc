import { serveBroadcasts } from '../harness/broadcast/server.ts'

// Each server loads only its own modules, since others would add to its memory.
const bare = async () => await import('../harness/broadcast/bare-server.ts')
const floors = async () => await import('./carrier-floors.ts')
const tether = async () => await import('../harness/broadcast/tether-server.ts')

serveBroadcasts({
  bare: async (options) => { const { createBareServer, loop } = await bare(); return createBareServer(options, loop) },
  floor: async (options) => { const { createBareServer, floor } = await bare(); return createBareServer(options, floor) },
  tether: async (options) => await (await tether()).startTetherServer(options, 'usual'),
  'http2 floor': async (options) => (await floors()).createHttp2Floor(options),
  'websocket floor': async (options) => (await floors()).createWebsocketFloor(options),
  'tether http2': async (options) => await (await tether()).startTetherServer(options, 'http2'),
  'tether websocket': async (options) => await (await tether()).startTetherServer(options, 'websocket'),
  'tether eyes': async (options) => await (await tether()).startTetherServer(options, 'eyes'),
  'better-sse': async (options) => await (await import('./better-sse-server.ts')).startBetterSseServer(options),
  '@fastify/sse': async (options) => await (await import('./fastify-sse-server.ts')).startFastifySseServer(options),
  '@fastify/websocket': async (options) => await (await import('./websocket-server.ts')).startWebsocketServer(options)
})
