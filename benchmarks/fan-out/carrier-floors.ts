import { createHash } from 'node:crypto'
import http from 'node:http'
import http2, { type ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import { Samples } from '../harness/broadcast/samples.ts'
import type { BroadcastOptions, BroadcastServer } from '../harness/broadcast/server.ts'
import { streamHeaders } from '../harness/streams/socket-stream.ts'

/** Bytes of all frames of a tick. */
type Encode = (frames: readonly string[]) => Buffer

/** The least work for streams of a protocol: all frames of a tick encoded once, and one write for each stream. */
function createFloor (listener: BroadcastServer['listener'], streams: ReadonlySet<Duplex>, { frameBytes }: BroadcastOptions, encode: Encode): BroadcastServer {
  const samples = new Samples(frameBytes)
  return {
    listener,
    audience: () => streams.size,
    emit: (frames) => {
      const bytes = encode(Array.from({ length: frames }, () => samples.nextFrame()))
      for (const stream of streams) stream.write(bytes)
    }
  }
}

function keep (streams: Set<Duplex>, stream: Duplex): void {
  streams.add(stream)
  stream.on('error', () => {})
  stream.on('close', () => streams.delete(stream))
}

export function createHttp2Floor (options: BroadcastOptions): BroadcastServer {
  const streams = new Set<Duplex>()
  const listener = http2.createServer()
  listener.on('stream', (stream: ServerHttp2Stream) => {
    stream.respond({ ':status': 200, ...streamHeaders })
    keep(streams, stream)
  })
  return createFloor(listener, streams, options, (frames) => Buffer.from(frames.join('')))
}

export function createWebsocketFloor (options: BroadcastOptions): BroadcastServer {
  const streams = new Set<Duplex>()
  const listener = http.createServer()
  listener.on('upgrade', ({ headers }, socket) => {
    const accept = createHash('sha1').update(`${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`)
    socket.resume()
    keep(streams, socket)
  })
  return createFloor(listener, streams, options, encodeMessage)
}

/** One text message, unmasked. */
function encodeMessage (frames: readonly string[]): Buffer {
  const body = Buffer.from(frames.join(''))
  const head = Buffer.alloc(body.length < 126 ? 2 : body.length < 65_536 ? 4 : 10)
  head[0] = 0x81
  if (head.length === 2) head[1] = body.length
  else if (head.length === 4) head.writeUInt16BE(body.length, head.writeUInt8(126, 1))
  else head.writeBigUInt64BE(BigInt(body.length), head.writeUInt8(127, 1))
  return Buffer.concat([head, body])
}
