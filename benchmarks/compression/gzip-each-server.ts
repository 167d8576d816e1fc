import http, { type ServerResponse } from 'node:http'
import { constants, createGzip, type Gzip } from 'node:zlib'
import type { BroadcastServer } from '../harness/broadcast/server.ts'
import { streamHeaders } from '../harness/streams/socket-stream.ts'
import { Samples } from './samples.ts'

/** The usual way: a compressor for each response, level 1, flushed after each burst. */
export function createGzipEachServer (): BroadcastServer {
  const compressors = new Map<Gzip, ServerResponse>()
  const samples = new Samples()
  const listener = http.createServer((request, response) => {
    response.writeHead(200, { ...streamHeaders, 'content-encoding': 'gzip' })
    const gzip = createGzip({ level: 1 })
    compress(gzip, response, Buffer.from(': hello\n\n'))
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
      let text = ''
      for (let count = 0; count < frames; count += 1) text += `event: sample\ndata: ${JSON.stringify(samples.next())}\n\n`
      const burst = Buffer.from(text)
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
