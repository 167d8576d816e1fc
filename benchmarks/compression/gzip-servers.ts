import http, { type ServerResponse } from 'node:http'
import { constants, createGzip, deflateRawSync, gzipSync, type Gzip } from 'node:zlib'
import type { BroadcastServer } from '../harness/broadcast/server.ts'
import { streamHeaders } from '../harness/streams/socket-stream.ts'
import { Samples } from './samples.ts'

const headers = { ...streamHeaders, 'content-encoding': 'gzip' }
const hello = Buffer.from(': hello\n\n')

function encodeBurst (samples: Samples, frames: number): Buffer {
  return Buffer.from(Array.from({ length: frames }, () => `event: sample\ndata: ${JSON.stringify(samples.next())}\n\n`).join(''))
}

/** The usual way: a compressor for each response, level 1, flushed after each burst. */
export function createGzipEachServer (): BroadcastServer {
  const compressors = new Map<Gzip, ServerResponse>()
  const samples = new Samples()
  const listener = http.createServer((request, response) => {
    response.writeHead(200, headers)
    const gzip = createGzip({ level: 1 })
    compress(gzip, response, hello)
    compressors.set(gzip, response)
    response.on('close', () => {
      compressors.delete(gzip)
      gzip.destroy()
    })
  })
  return {
    listener,
    audience: () => compressors.size,
    emit: (frames) => {
      const burst = encodeBurst(samples, frames)
      for (const [gzip, response] of compressors) compress(gzip, response, burst)
    }
  }
}

/** Writes the result as one chunk, since readers count bursts by chunks. */
function compress (gzip: Gzip, response: ServerResponse, text: Buffer): void {
  gzip.write(text)
  gzip.flush(constants.Z_SYNC_FLUSH, () => {
    const bytes = gzip.read() as Buffer | null
    if (bytes !== null) response.write(bytes)
  })
}

/** The least work that Node can do: a burst compressed and framed once, and one write for each socket. The streams never end, so they need no checksum. */
export function createGzipFloor (): BroadcastServer {
  const streams = new Set<ServerResponse>()
  const samples = new Samples()
  const flushed = { finishFlush: constants.Z_SYNC_FLUSH }
  const listener = http.createServer((request, response) => {
    response.writeHead(200, headers)
    response.write(gzipSync(hello, flushed))
    streams.add(response)
    response.on('close', () => streams.delete(response))
  })
  return {
    listener,
    audience: () => streams.size,
    emit: (frames) => {
      const block = deflateRawSync(encodeBurst(samples, frames), flushed)
      const chunk = Buffer.concat([Buffer.from(`${block.length.toString(16)}\r\n`), block, Buffer.from('\r\n')])
      for (const { socket } of streams) socket?.write(chunk)
    }
  }
}
