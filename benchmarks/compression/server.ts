import { serveBroadcasts } from '../harness/broadcast/server.ts'

serveBroadcasts({
  tether: async (options) => await (await import('./tether-server.ts')).startTetherServer(options),
  'gzip floor': async () => (await import('./gzip-servers.ts')).createGzipFloor(),
  'gzip each': async () => (await import('./gzip-servers.ts')).createGzipEachServer()
})
