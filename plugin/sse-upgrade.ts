import { ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { defaults } from '../schemas/defaults.ts'
import { StreamAbortedError } from '../schemas/errors.ts'
import type { Carrier } from './carrier.ts'
import type { Compression, Encoding } from './compression.ts'
import { CompressorCarrier } from './compressor-carrier.ts'
import { chooseEncoding, varyByEncoding, type ChosenEncoding } from './content-encoding.ts'
import { turnedAwayFrame } from './control-frame.ts'
import { EventStreamHead, eventStreamHeaders } from './event-stream-head.ts'
import { FrameStream } from './frame-stream.ts'
import { encodeRetry } from './frame.ts'
import { GzipCarrier } from './gzip-carrier.ts'
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

/**
 * Opens the stream for a request; see {@link Upgrade}.
 *
 * Frames must not be written before Fastify's asynchronous onSend hooks have run,
 * since the first write sends the head as it is then, and says nothing of the
 * headers that are lost.
 */
export function openStream (request: FastifyRequest, reply: FastifyReply, options: ResolvedUpgradeOptions, runtime: Runtime): Promise<Transport> {
  const { compression } = runtime
  const chosen = options.compression === null ? null : chooseEncoding(request, reply, options.compression, compression)
  if (options.compression !== null) varyByEncoding(reply)
  if (chosen !== null) reply.header('content-encoding', chosen.encoding)
  reply.headers(eventStreamHeaders)
  if (request.method === 'HEAD') {
    if (chosen !== null) compression.release(chosen.ownBytes)
    reply.send(new EventStreamHead(reply, null))
    return Promise.resolve(endedTransport)
  }
  return new Promise((resolve, reject) => {
    const response = reply.raw as RawResponse
    const abort = () => {
      reject(new StreamAbortedError(response.headersSent ? 'a hook answered in its place' : 'the client has left'))
    }
    if (hasLeft(response)) {
      if (chosen !== null) compression.release(chosen.ownBytes)
      abort()
      return
    }
    watchPipelined(response, request.raw.socket)
    if (chosen !== null) guardEncoding(response, chosen.encoding)
    let begun = false
    let encoded: ChosenEncoding | null = null
    const head = new EventStreamHead(reply, () => {
      // While the hooks ran the client may have left, which the response tells only once, or one of them answered.
      if (hasLeft(response) || response.headersSent) {
        abort()
        return
      }
      begun = true
      // What a hook has made of it holds.
      if (chosen !== null && response.getHeader('content-encoding') === chosen.encoding) {
        encoded = chosen
        compression.countStream(1, chosen.ownBytes)
      }
      if (chosen !== null) unguardEncoding(response)
      response.writeHead(response.statusCode)
      // TCP asks an idle peer whether it is still there; heartbeats fit into the kernel's buffer unread.
      if (response instanceof ServerResponse) response.socket?.setKeepAlive?.(true, keepAliveMs)
      if (response.stream !== undefined) runtime.http2Connections.note(response.stream)
      const opening = options.retryMs > 0 ? encodeRetry(options.retryMs) : ''
      const stream = new FrameStream(createCarrier(response, encoded, compression), options, runtime, opening, request.log)
      // Those that were open when the server began to stop have been told; this one comes after.
      if (runtime.draining) stream.finish(turnedAwayFrame('draining'), defaults.fixed.shutdownMs, 'closed')
      resolve(new SseTransport(stream, lastEventId(request), runtime))
    })
    response.on('close', () => {
      if (chosen !== null) compression.release(chosen.ownBytes)
      if (encoded !== null) compression.countStream(-1, encoded.ownBytes)
      // Fastify takes a response that closes before its body ends for an error, and logs it; so the body ends first.
      if (begun) head.emit('end')
      else abort()
    })
    reply.code(200).send(head)
  })
}

/**
 * Fastify keeps headers when a hook fails or answers in the stream's place. Of any
 * other body than the stream's the encoding would be untrue, so it does not go out
 * with one.
 */
function guardEncoding (response: RawResponse, encoding: Encoding): void {
  const writeHead = response.writeHead as (...head: unknown[]) => RawResponse
  response.writeHead = function (this: RawResponse, ...head: unknown[]): RawResponse {
    const headers = head.at(-1) as Record<string, unknown> | null | undefined
    if (typeof headers === 'object' && headers?.['content-encoding'] === encoding) delete headers['content-encoding']
    if (this.getHeader('content-encoding') === encoding) this.removeHeader('content-encoding')
    return writeHead.apply(this, head)
  } as RawResponse['writeHead']
}

function unguardEncoding (response: RawResponse): void {
  // Not deleted, which would make the response a slower object.
  response.writeHead = (Object.getPrototypeOf(response) as RawResponse).writeHead
}

function createCarrier (response: RawResponse, chosen: ChosenEncoding | null, compression: Compression): Carrier {
  const carrier = createResponseCarrier(response)
  if (chosen === null) return carrier
  const { encoding, ownBytes } = chosen
  if (encoding === 'gzip') return new GzipCarrier(carrier, compression, ownBytes === 0 ? 0 : defaults.fixed.compressorWindowBytes)
  return new CompressorCarrier(carrier, encoding, compression)
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
