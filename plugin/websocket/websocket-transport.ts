import { ModeError, UpgradeRequiredError } from '../../schemas/errors.ts'
import type { SessionTransport } from '../sessions/session-transport.ts'
import { maxMessageBytes } from './websocket-receiver.ts'
import { acceptHandshake, enableWebSockets, isHttp2Only, noteFaultsOf, type SocketHandler } from './websocket-registration.ts'
import { acceptSocket, jsonParser } from './websocket-route.ts'
import { webSocketOptions, type ResolvedWebSocketOptions } from './websocket-upgrade.ts'

/** Carries sessions over WebSockets. */
export const webSocketTransport: SessionTransport<ResolvedWebSocketOptions> = {
  maker: 'app.tether.websocket.upgrade',
  optionsOf: webSocketOptions,
  check (instance, mode, isAlone) {
    if (!isHttp2Only(instance)) return
    if (isAlone) throw new ModeError(mode, 'cannot work on a server that speaks nothing but HTTP/2: set https.allowHTTP1, or use mode "both" or "sse"')
    instance.log.warn(`mode "${mode}" on a server that speaks nothing but HTTP/2: clients get server-sent events only, unless https.allowHTTP1 is set`)
  },
  async mount (routes, options, { endpoint, acceptance, mode, isAlone }) {
    // Clients of this URL know the protocol, even without a session.
    const resolved = Object.freeze({ ...options, goodbye: true })
    const parse = jsonParser(routes)
    const handler: SocketHandler = (peer, request) => { acceptSocket({ endpoint, acceptance, peer, request, parse }, resolved) }
    const isForeign = await enableWebSockets(routes, mode, maxMessageBytes(endpoint.limits.maxEventBytes), endpoint.runtime)
    return {
      routeOptions: {
        wsHandler: ((peer, request) => {
          if (isForeign) noteFaultsOf(peer, request, endpoint.runtime)
          handler(peer, request)
        }) satisfies SocketHandler
      },
      takesUpgrades: true,
      onRequest: () => {},
      serve (request, reply) {
        if (acceptHandshake(request, reply, handler, endpoint.runtime)) return true
        // A proxy may drop the upgrade and leave the rest of the handshake. Its client cannot read an event stream; the session would stay behind unused.
        if (!isAlone && request.headers['sec-websocket-version'] === undefined) return false
        // On HTTP/2 this header is an error.
        if (request.raw.httpVersionMajor === 1) reply.header('upgrade', 'websocket')
        throw new UpgradeRequiredError()
      }
    }
  }
}
