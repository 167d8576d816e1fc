import type { SessionTransport } from '../sessions/session-transport.ts'
import { eventStreamOptions, type ResolvedUpgradeOptions } from '../streams/transport.ts'
import { answerWithStream, noteArrival } from './stream-route.ts'

/** Carries sessions over server-sent events. */
export const sseTransport: SessionTransport<ResolvedUpgradeOptions> = {
  maker: 'app.tether.sse.upgrade',
  optionsOf: eventStreamOptions,
  check: () => {},
  mount (_routes, options, { endpoint }) {
    // Clients of this URL know the protocol, even without a session.
    const resolved = Object.freeze({ ...options, goodbye: true })
    return {
      routeOptions: {},
      takesUpgrades: false,
      onRequest (request) {
        if (request.method === 'GET') noteArrival(request)
      },
      serve (request, reply) {
        answerWithStream(endpoint, resolved, request, reply)
        return true
      }
    }
  }
}
