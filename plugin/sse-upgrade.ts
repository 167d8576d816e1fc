import { ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { defaults } from '../schemas/defaults.ts'
import { StreamAbortedError } from '../schemas/errors.ts'
import { turnedAwayFrame } from './control-frame.ts'
import { EventStreamHead, eventStreamHeaders } from './event-stream-head.ts'
import { FrameStream } from './frame-stream.ts'
import { encodeRetry } from './frame.ts'
import { watchPipelined } from './pipelined-responses.ts'
import { createResponseCarrier, type RawResponse } from './response-carrier.ts'
import type { Runtime } from './runtime.ts'
import { SseTransport } from './sse-transport.ts'
import type { ResolvedUpgradeOptions, Transport } from './transport.ts'

const keepAliveMs = 30_000

/** What a HEAD request gets: its stream is over before it began. */
const endedTransport: Transport = Object.freeze({
  send: () => Promise.resolve(false),
  close: () => Promise.resolve(),
  closed: Promise.resolve('closed' as const),
  lastEventId: null
})

/** Answers `HEAD` for an event stream: its headers, and nothing else. */
export function sendHead (reply: FastifyReply): FastifyReply {
  return reply.headers(eventStreamHeaders).send(new EventStreamHead(reply.raw, null))
}

/**
 * Opens the stream for a request; see {@link Upgrade}.
 *
 * Frames must not be written before Fastify's asynchronous onSend hooks have run,
 * since the first write sends the head as it is then, and says nothing of the
 * headers that are lost.
 */
export function openStream (request: FastifyRequest, reply: FastifyReply, options: ResolvedUpgradeOptions, runtime: Runtime): Promise<Transport> {
  if (request.method === 'HEAD') {
    sendHead(reply)
    return Promise.resolve(endedTransport)
  }
  return new Promise((resolve, reject) => {
    const response = reply.raw as RawResponse
    const abort = () => {
      reject(new StreamAbortedError(response.headersSent ? 'a hook answered in its place' : 'the client has left'))
    }
    if (hasLeft(response)) {
      abort()
      return
    }
    watchPipelined(response, request.raw.socket)
    let begun = false
    const head = new EventStreamHead(response, () => {
      // While the hooks ran the client may have left, which the response tells only once, or one of them answered.
      if (hasLeft(response) || response.headersSent) {
        abort()
        return
      }
      begun = true
      response.writeHead(response.statusCode)
      // TCP asks an idle peer whether it is still there; heartbeats fit into the kernel's buffer unread.
      if (response instanceof ServerResponse) response.socket?.setKeepAlive?.(true, keepAliveMs)
      if (response.stream !== undefined) runtime.http2Connections.note(response.stream)
      const opening = options.retryMs > 0 ? encodeRetry(options.retryMs) : ''
      const stream = new FrameStream(createResponseCarrier(response), options, runtime, opening)
      // Those that were open when the server began to stop have been told; this one comes after.
      if (runtime.draining) stream.finish(turnedAwayFrame('draining'), defaults.fixed.shutdownMs, 'closed')
      resolve(new SseTransport(stream, lastEventId(request), runtime))
    })
    response.on('close', () => {
      // Fastify takes a response that closes before its body ends for an error, and logs it; so the body ends first.
      if (begun) head.emit('end')
      else abort()
    })
    reply.code(200).headers(eventStreamHeaders).send(head)
  })
}

/** Whether nothing can be sent any more, since the connection is gone. */
export function hasLeft (response: RawResponse): boolean {
  // A pipelined response has no socket of its own yet; its request has.
  const socket = response.socket ?? response.req.socket
  return response.destroyed || response.writableEnded || response.closed === true || socket?.destroyed === true || response.stream?.destroyed === true
}

/** The header, or the query parameter that EventSource polyfills use. */
export function lastEventId (request: FastifyRequest): string | null {
  const header = request.headers['last-event-id']
  if (typeof header === 'string' && header !== '') return header
  const query = (request.query as Record<string, unknown> | null | undefined)?.['last-event-id']
  return typeof query === 'string' && query !== '' ? query : null
}
