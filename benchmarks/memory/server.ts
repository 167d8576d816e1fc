import { serveBroadcasts } from '../harness/broadcast/server.ts'

// Each server loads only its own modules, since others would add to its memory.
const tether = async () => await import('../harness/broadcast/tether-server.ts')

serveBroadcasts({
  bare: async (options) => {
    const { createBareServer, loop } = await import('../harness/broadcast/bare-server.ts')
    return createBareServer(options, loop)
  },
  tether: async (options) => await (await tether()).startTetherServer(options, 'usual'),
  'tether keeping': async (options) => await (await tether()).startTetherServer(options, 'keeping')
})
