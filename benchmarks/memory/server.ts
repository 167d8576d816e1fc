import { serveBroadcasts } from '../harness/broadcast/server.ts'

// The modules are loaded only by those who need them: each would weigh on the others.
const tether = async () => await import('../harness/broadcast/tether-server.ts')

serveBroadcasts({
  bare: async (options) => {
    const { createBareServer, loop } = await import('../harness/broadcast/bare-server.ts')
    return createBareServer(options, loop)
  },
  tether: async (options) => await (await tether()).startTetherServer(options, 'usual'),
  'tether keeping': async (options) => await (await tether()).startTetherServer(options, 'keeping')
})
