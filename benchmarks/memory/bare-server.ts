import { once } from 'node:events'
import http, { type ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { listeningPort } from '../harness/listening-port.ts'
import { firstFrame, streamHeaders, type StreamServer } from './stream-server.ts'

/** Node's own server: the least that a stream can cost. */
export async function startBareServer (): Promise<StreamServer> {
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
    openCount: () => promisify(server.getConnections.bind(server))()
  }
}
