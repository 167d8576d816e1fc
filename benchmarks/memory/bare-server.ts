import http, { type ServerResponse } from 'node:http'
import { listen } from '../harness/streams/loopback.ts'
import { streamHeaders } from '../harness/streams/socket-stream.ts'
import type { StreamServer } from './stream-server.ts'

/** As many bytes as a session begins with. */
const firstFrame = 'retry: 1000\nid: AAAAAAAAAAAAAAAAAAAAAAAA.0\nevent: tether\n' +
  'data: {"type":"hello","session":"AAAAAAAAAAAAAAAAAAAAAAAA","verdict":"new","seq":0,' +
  '"heartbeatMs":20000,"maxBatch":32,"maxEventBytes":65536}\n\n'

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
  return {
    port: await listen(server),
    openCount: () => streams.size,
    broadcast: (text) => {
      const frame = Buffer.from(`event: notice\ndata: ${JSON.stringify({ text })}\n\n`)
      for (const response of streams) response.write(frame)
    },
    bufferedBytes: () => [...streams].reduce((sum, response) => sum + response.writableLength, 0),
    isEmpty: () => streams.size === 0
  }
}
