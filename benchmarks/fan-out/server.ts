import { serveBroadcasts, type BroadcastOptions, type BroadcastServer } from '../harness/broadcast/server.ts'

// The modules are loaded only by those who need them: each would weigh on the others.
serveBroadcasts({
  bare: async (options) => await startBare(options, 'loop'),
  floor: async (options) => await startBare(options, 'floor'),
  tether: async (options) => await startTether(options, 'sse'),
  'tether websocket': async (options) => await startTether(options, 'websocket'),
  'better-sse': async (options) => await (await import('./better-sse-server.ts')).startBetterSseServer(options),
  '@fastify/sse': async (options) => await (await import('./fastify-sse-server.ts')).startFastifySseServer(options),
  '@fastify/websocket': async (options) => await (await import('./websocket-server.ts')).startWebsocketServer(options)
})

async function startBare (options: BroadcastOptions, spread: 'loop' | 'floor'): Promise<BroadcastServer> {
  const module = await import('./bare-server.ts')
  return await module.startBareServer(options, module[spread])
}

async function startTether (options: BroadcastOptions, mode: 'sse' | 'websocket'): Promise<BroadcastServer> {
  return await (await import('./tether-server.ts')).startTetherServer(options, mode)
}
