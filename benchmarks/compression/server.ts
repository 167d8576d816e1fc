import { serveBroadcasts } from '../harness/broadcast/server.ts'

serveBroadcasts({
  tether: async (options) => await (await import('./tether-server.ts')).startTetherServer(options),
  'gzip each': async () => (await import('./gzip-each-server.ts')).createGzipEachServer()
})
