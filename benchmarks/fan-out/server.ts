import { serveBroadcasts } from '../harness/broadcast/server.ts'

// The modules are loaded only by those who need them: each would weigh on the others.
const bare = async () => await import('../harness/broadcast/bare-server.ts')
const tether = async () => await import('../harness/broadcast/tether-server.ts')

serveBroadcasts({
  bare: async (options) => { const { createBareServer, loop } = await bare(); return createBareServer(options, loop) },
  floor: async (options) => { const { createBareServer, floor } = await bare(); return createBareServer(options, floor) },
  tether: async (options) => await (await tether()).startTetherServer(options, 'usual'),
  'tether websocket': async (options) => await (await tether()).startTetherServer(options, 'websocket'),
  'better-sse': async (options) => await (await import('./better-sse-server.ts')).startBetterSseServer(options),
  '@fastify/sse': async (options) => await (await import('./fastify-sse-server.ts')).startFastifySseServer(options),
  '@fastify/websocket': async (options) => await (await import('./websocket-server.ts')).startWebsocketServer(options)
})
