import { ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { defaults } from '../../schemas/defaults.ts'
import { StreamAbortedError } from '../../schemas/errors.ts'
import type { Carrier } from '../carriers/carrier.ts'
import { createHttpCarrier, isPlainResponse, type RawResponse } from '../carriers/http-carrier.ts'
import type { Encoding } from '../carriers/stream-compression.ts'
import type { Compression } from '../compression/compression.ts'
import { CompressorCarrier } from '../compression/compressor-carrier.ts'
import { GzipCarrier } from '../compression/gzip-carrier.ts'
import { turnedAwayFrame } from '../protocol/control-frame.ts'
import { encodeRetry } from '../protocol/frame.ts'
import { lastEventId } from '../protocol/last-event-id.ts'
import { FrameStream } from '../streams/frame-stream.ts'
import { PlainTransport } from '../streams/plain-transport.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { ResolvedUpgradeOptions, Transport } from '../streams/transport.ts'
import { chooseEncoding, varyByEncoding, type ChosenEncoding } from './content-encoding.ts'
import { EventStreamHead, eventStreamHeaders } from './event-stream-head.ts'
import { guardReply } from './late-reply.ts'
import { watchPipelined } from './pipelined-responses.ts'

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
  const chosen = options.compression === null ? null : chooseEncoding(request, reply, options.compression, compression, mayWait(reply.raw))
  if (options.compression !== null) varyByEncoding(reply)
  if (chosen !== null) reply.header('content-encoding', chosen.encoding)
  reply.headers(eventStreamHeaders)
  if (request.method === 'HEAD') {
    if (chosen !== null) compression.release(chosen.ownBytes)
    reply.send(new EventStreamHead(reply, null))
    return Promise.resolve(endedTransport)
  }
  const transport = new Promise<Transport>((resolve, reject) => {
    const response = reply.raw as RawResponse
    const abort = (isAnswered: boolean) => {
      reject(new StreamAbortedError(isAnswered ? 'a hook answered in its place' : 'the client has left'))
    }
    if (hasLeft(response)) {
      if (chosen !== null) compression.release(chosen.ownBytes)
      abort(response.writableEnded)
      return
    }
    watchPipelined(response, request.raw.socket)
    const unguard = chosen === null ? null : guardEncoding(response, chosen.encoding)
    let begun = false
    let encoded: ChosenEncoding | null = null
    const head = new EventStreamHead(reply, () => {
      // While the hooks ran the client may have left, which the response tells only once.
      if (hasLeft(response)) {
        abort(response.writableEnded)
        return
      }
      unguard?.()
      // `headersSent` may be a middleware's word; the head itself can be written only once.
      try {
        response.writeHead(response.statusCode)
      } catch (error) {
        if (!/^ERR_HTTP2?_HEADERS_SENT$/.test(String((error as NodeJS.ErrnoException).code))) throw error
        abort(true)
        return
      }
      begun = true
      // What a hook has made of it holds, or what was called as the head was written.
      if (chosen !== null && response.getHeader('content-encoding') === chosen.encoding) {
        encoded = chosen
        compression.countStream(1, chosen.ownBytes)
      }
      // TCP asks an idle peer whether it is still there; heartbeats fit into the kernel's buffer unread.
      if (response instanceof ServerResponse) response.socket?.setKeepAlive?.(true, keepAliveMs)
      if (response.stream !== undefined) runtime.http2Connections.note(response.stream)
      const opening = options.retryMs > 0 ? encodeRetry(options.retryMs) : ''
      const stream = new FrameStream(createCarrier(response, encoded, compression), options, runtime, opening, request.log)
      // Those that were open when the server began to stop have been told; this one comes after.
      if (runtime.draining) stream.close(turnedAwayFrame('draining', options.goodbye), defaults.fixed.shutdownMs, 'closed')
      guardReply(reply, stream)
      resolve(new PlainTransport(stream, lastEventId(request), runtime))
    })
    response.on('close', () => {
      if (chosen !== null) compression.release(chosen.ownBytes)
      if (encoded !== null) compression.countStream(-1, encoded.ownBytes)
      // Fastify takes a response that closes before its body ends for an error, and logs it; so the body ends first.
      if (begun) head.emit('end')
      else abort(response.writableEnded)
    })
    reply.code(200).send(head)
  })
  // A handler need not wait for it, and a client that leaves meanwhile must not end the process.
  transport.catch(() => {})
  return transport
}

/**
 * Fastify keeps headers when a hook fails or answers in the stream's place. Of any
 * other body than the stream's the encoding would be untrue, so it does not go out
 * with one.
 *
 * @returns a function that ends this
 */
function guardEncoding (response: RawResponse, encoding: Encoding): () => void {
  const writeHead = response.writeHead as (...head: unknown[]) => RawResponse
  let isGuarding = true
  const guarded = function (this: RawResponse, ...head: unknown[]): RawResponse {
    if (isGuarding) {
      const headers = head.at(-1) as Record<string, unknown> | null | undefined
      if (typeof headers === 'object' && headers?.['content-encoding'] === encoding) delete headers['content-encoding']
      if (this.getHeader('content-encoding') === encoding) this.removeHeader('content-encoding')
    }
    return writeHead.apply(this, head)
  } as RawResponse['writeHead']
  response.writeHead = guarded
  return () => {
    isGuarding = false
    // Not deleted, which would make the response a slower object. A hook may have put its own there, which stays.
    if (response.writeHead === guarded) response.writeHead = writeHead as RawResponse['writeHead']
  }
}

function createCarrier (response: RawResponse, chosen: ChosenEncoding | null, compression: Compression): Carrier {
  const carrier = createHttpCarrier(response, compression.limits)
  if (chosen === null) return carrier
  const { encoding, ownBytes } = chosen
  if (encoding === 'gzip') return new GzipCarrier(carrier, compression, ownBytes === 0 ? 0 : compression.limits.compressorWindowBytes)
  return new CompressorCarrier(carrier, encoding, compression)
}

/** Whether a body may begin later than its head: whoever takes the place of a connection may take it for empty. */
function mayWait (response: RawResponse): boolean {
  return response.stream !== undefined || isPlainResponse(response)
}

/** Whether nothing can be sent any more, since the connection is gone. */
export function hasLeft (response: RawResponse): boolean {
  // A pipelined response has no socket of its own yet; its request has.
  const socket = response.socket ?? response.req.socket
  return response.destroyed || response.writableEnded || response.closed === true || socket?.destroyed === true || response.stream?.destroyed === true
}
