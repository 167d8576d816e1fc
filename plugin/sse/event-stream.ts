import { ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { StreamAbortedError } from '../../schemas/errors.ts'
import type { Carrier } from '../carriers/carrier.ts'
import { createHttpCarrier, isPlainResponse, type RawResponse } from '../carriers/http-carrier.ts'
import type { Compression } from '../compression/compression.ts'
import { CompressorCarrier } from '../compression/compressor-carrier.ts'
import { GzipCarrier } from '../compression/gzip-carrier.ts'
import { turnedAwayFrame } from '../protocol/control-frame.ts'
import { encodeRetry } from '../protocol/frame.ts'
import { FrameStream } from '../streams/frame-stream.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { Stream } from '../streams/stream.ts'
import type { ResolvedUpgradeOptions } from '../streams/transport.ts'
import { chooseEncoding, varyByEncoding, type ChosenEncoding } from './content-encoding.ts'
import { guardEncoding } from './encoding-guard.ts'
import { EventStreamHead, eventStreamHeaders } from './event-stream-head.ts'
import { guardReply } from './late-reply.ts'
import { watchPipelined } from './pipelined-responses.ts'

const keepAliveMs = 30_000

/** Answers a HEAD request with the headers of a GET. */
export function answerHead (request: FastifyRequest, reply: FastifyReply, options: ResolvedUpgradeOptions, runtime: Runtime): void {
  const chosen = setHeaders(request, reply, options, runtime.compression)
  if (chosen !== null) runtime.compression.release(chosen.ownBytes)
  reply.send(new EventStreamHead(reply, null))
}

/**
 * Opens the stream for a request of any method but HEAD; see {@link Upgrade} for when it resolves and rejects.
 *
 * The first write sends the head, so Fastify's asynchronous onSend hooks run before it. A header
 * set after the first write would be lost without an error.
 */
export function openEventStream (request: FastifyRequest, reply: FastifyReply, options: ResolvedUpgradeOptions, runtime: Runtime): Promise<Stream> {
  const { compression } = runtime
  const chosen = setHeaders(request, reply, options, compression)
  const opened = new Promise<Stream>((resolve, reject) => {
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
      // The client may have left while the hooks ran. The response emits `close` only once, and has done so.
      if (hasLeft(response)) {
        abort(response.writableEnded)
        return
      }
      unguard?.()
      if (!writeHead(response)) {
        abort(true)
        return
      }
      begun = true
      // A hook, or a listener of `writeHead`, may have changed the encoding. The header decides.
      if (chosen !== null && response.getHeader('content-encoding') === chosen.encoding) {
        encoded = chosen
        compression.countStream(1, chosen.ownBytes)
      }
      const stream = startStream(request, response, encoded, options, runtime)
      guardReply(reply, stream)
      resolve(stream)
    })
    response.on('close', () => {
      if (chosen !== null) compression.release(chosen.ownBytes)
      if (encoded !== null) compression.countStream(-1, encoded.ownBytes)
      // Fastify logs an error if a response closes before its body ends, so the body ends first.
      if (begun) head.emit('end')
      else abort(response.writableEnded)
    })
    reply.code(200).send(head)
  })
  // A caller may ignore the promise. A client that leaves must not end the process.
  opened.catch(() => {})
  return opened
}

/** Sets the headers of a stream. Returns its encoding; null for none. */
function setHeaders (request: FastifyRequest, reply: FastifyReply, options: ResolvedUpgradeOptions, compression: Compression): ChosenEncoding | null {
  const chosen = options.compression === null ? null : chooseEncoding(request, reply, options.compression, compression, mayWait(reply.raw))
  if (options.compression !== null) varyByEncoding(reply)
  if (chosen !== null) reply.header('content-encoding', chosen.encoding)
  reply.headers(eventStreamHeaders)
  return chosen
}

/**
 * Writes the head. Returns false if other code has written it already. It tries the write because
 * a middleware may set `headersSent` to anything.
 */
function writeHead (response: RawResponse): boolean {
  try {
    response.writeHead(response.statusCode)
    return true
  } catch (error) {
    if (!/^ERR_HTTP2?_HEADERS_SENT$/.test(String((error as NodeJS.ErrnoException).code))) throw error
    return false
  }
}

/** Makes the stream of a response whose head was just written. */
function startStream (request: FastifyRequest, response: RawResponse, encoded: ChosenEncoding | null, options: ResolvedUpgradeOptions, runtime: Runtime): Stream {
  // TCP probes an idle peer. Heartbeats would not find a lost one: they fit into the kernel's buffer unread.
  if (response instanceof ServerResponse) response.socket?.setKeepAlive?.(true, keepAliveMs)
  if (response.stream !== undefined) runtime.http2Connections.note(response.stream)
  const opening = options.retryMs > 0 ? encodeRetry(options.retryMs) : ''
  const stream = new FrameStream(createCarrier(response, encoded, runtime.compression), options, runtime, opening, request.log, request.routeOptions.url)
  // This stream opened after the server had said goodbye to the others.
  if (runtime.draining) stream.close(turnedAwayFrame('draining', options.goodbye), runtime.limits.shutdownMs, 'closed')
  return stream
}

function createCarrier (response: RawResponse, encoded: ChosenEncoding | null, compression: Compression): Carrier {
  const carrier = createHttpCarrier(response, compression.limits)
  if (encoded === null) return carrier
  const { encoding, ownBytes } = encoded
  if (encoding === 'gzip') return new GzipCarrier(carrier, compression, ownBytes === 0 ? 0 : compression.limits.compressorWindowBytes)
  return new CompressorCarrier(carrier, encoding, compression)
}

/** Whether a body may begin later than its head. A stand-in for a connection may take a late body for an empty one. */
function mayWait (response: RawResponse): boolean {
  return response.stream !== undefined || isPlainResponse(response)
}

/** Whether the connection is gone, so that nothing can be sent. */
export function hasLeft (response: RawResponse): boolean {
  // A pipelined response has no socket of its own yet; its request has.
  const socket = response.socket ?? response.req.socket
  return response.destroyed || response.writableEnded || response.closed === true || socket?.destroyed === true || response.stream?.destroyed === true
}
