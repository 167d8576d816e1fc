import { lastEventId } from '../protocol/last-event-id.ts'
import { PlainTransport } from '../streams/plain-transport.ts'
import { refuseAll } from '../streams/send-all.ts'
import type { Runtime } from '../streams/runtime.ts'
import { asUpgrade, type ResolvedUpgradeOptions, type Transport, type Upgrade } from '../streams/transport.ts'
import { answerHead, openEventStream } from './event-stream.ts'

/** The transport of a HEAD request: a closed one. */
const endedTransport: Transport = Object.freeze({
  send: () => Promise.resolve(false),
  sendAll: refuseAll,
  close: () => Promise.resolve(),
  closed: Promise.resolve('closed' as const),
  signal: AbortSignal.abort('closed'),
  lastEventId: null
})

/** Makes the function that `app.tether.sse.upgrade()` returns. */
export function createEventStreamUpgrade (options: ResolvedUpgradeOptions, runtime: Runtime): Upgrade {
  return asUpgrade((request, reply) => {
    if (request.method === 'HEAD') {
      answerHead(request, reply, options, runtime)
      return Promise.resolve(endedTransport)
    }
    const transport = openEventStream(request, reply, options, runtime)
      .then((stream) => new PlainTransport(stream, lastEventId(request), runtime))
    // A handler may ignore the promise. A client that leaves must not end the process.
    transport.catch(() => {})
    return transport
  }, options)
}
