import { once } from 'node:events'
import http, { type ServerResponse } from 'node:http'
import { listeningPort } from '../harness/listening-port.ts'
import { firstFrame, streamHeaders, type BroadcastServer } from './stream-server.ts'

/** Node's own server: the least that a stream can cost. */
export async function startBareServer (): Promise<BroadcastServer> {
  // Anything that serves streams must be able to reach them.
  const streams = new Set<ServerResponse>()
  const server = http.createServer((request, response) => {
    response.writeHead(200, streamHeaders)
    response.write(firstFrame)
    streams.add(response)
    response.on('close', forget)
  })
  function forget (this: ServerResponse): void {
    streams.delete(this)
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: listeningPort(server),
    openCount: () => streams.size,
    broadcast: (text) => {
      const frame = Buffer.from(`event: notice\ndata: ${JSON.stringify({ text })}\n\n`)
      for (const response of streams) response.write(frame)
    },
    bufferedBytes: () => [...streams].reduce((sum, response) => sum + response.writableLength, 0),
    isEmpty: () => streams.size === 0
  }
}
