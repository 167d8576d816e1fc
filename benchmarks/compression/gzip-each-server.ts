import { once } from 'node:events'
import http from 'node:http'
import { constants, createGzip, type Gzip } from 'node:zlib'
import { listeningPort } from '../harness/listening-port.ts'
import { streamHeaders } from '../fan-out/fan-out-server.ts'
import { Samples } from './sample.ts'
import type { CompressionServer } from './server.ts'

/** What everybody else does: a compressor for each response, level 1, flushed after each burst. */
export async function startGzipEachServer (): Promise<CompressionServer> {
  const compressors = new Set<Gzip>()
  const samples = new Samples()
  const server = http.createServer((request, response) => {
    response.writeHead(200, { ...streamHeaders, 'content-encoding': 'gzip' })
    const gzip = createGzip({ level: 1 })
    gzip.on('data', (bytes: Buffer) => response.write(bytes))
    gzip.write(': hello\n\n')
    gzip.flush(constants.Z_SYNC_FLUSH)
    compressors.add(gzip)
    response.on('close', () => {
      compressors.delete(gzip)
      gzip.destroy()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: listeningPort(server),
    audience: () => compressors.size,
    emit: (frames) => {
      let text = ''
      for (let count = 0; count < frames; count += 1) text += `event: sample\ndata: ${JSON.stringify(samples.next())}\n\n`
      const burst = Buffer.from(text)
      for (const gzip of compressors) {
        gzip.write(burst)
        gzip.flush(constants.Z_SYNC_FLUSH)
      }
    }
  }
}
