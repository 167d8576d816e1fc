import { serveBroadcasts } from '../harness/broadcast/server.ts'

// Each server loads only its own modules, since others would add to its memory.
const bare = async () => await import('../harness/broadcast/bare-server.ts')
const tether = async () => await import('../harness/broadcast/tether-server.ts')

serveBroadcasts({
  bare: async (options) => { const { createBareServer, loop } = await bare(); return createBareServer(options, loop) },
  floor: async (options) => { const { createBareServer, floor } = await bare(); return createBareServer(options, floor) },
  tether: async (options) => await (await tether()).startTetherServer(options, 'usual'),
  'tether keeping': async (options) => await (await tether()).startTetherServer(options, 'keeping')
})
