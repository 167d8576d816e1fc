import { once } from 'node:events'
import http, { type ServerResponse } from 'node:http'
import { listeningPort } from '../harness/listening-port.ts'
import { blockedQuery, streamHeaders, type FanOutOptions, type FanOutServer } from './fan-out-server.ts'
import { Pipes } from './pipe.ts'
import { encodeFrame, fillerFor, mark, now } from './sample.ts'

/** How a frame gets to a response. */
export type Spread = (streams: ReadonlySet<ServerResponse>, frame: Buffer) => void

/** The loop that everybody writes first: one buffer, written to each response, whatever `write` says. */
export const writeToResponses: Spread = (streams, frame) => {
  for (const response of streams) response.write(frame)
}

/** The least that Node's sockets can do: what `response.write` puts around a frame is made once. */
export const writeToSockets: Spread = (streams, frame) => {
  const chunk = Buffer.concat([Buffer.from(`${frame.length.toString(16)}\r\n`), frame, Buffer.from('\r\n')])
  for (const response of streams) response.socket?.write(chunk)
}

export async function startBareServer ({ frameBytes }: FanOutOptions, spread: Spread): Promise<FanOutServer> {
  const streams = new Set<ServerResponse>()
  const pipes = new Pipes()
  const text = fillerFor(frameBytes)
  const server = http.createServer((request, response) => {
    if (request.method === 'POST') {
      request.resume()
      response.writeHead(204).end()
      return
    }
    response.writeHead(200, streamHeaders)
    response.flushHeaders()
    streams.add(response)
    response.on('close', () => streams.delete(response))
    if (request.url?.endsWith(blockedQuery) === true) pipes.add(response)
  })
  // As long as Fastify's: a connection that posts may pause between two parts of a round.
  server.keepAliveTimeout = 72_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: listeningPort(server),
    path: '/live',
    headers: { accept: 'text/event-stream' },
    postPath: '/post',
    audience: () => streams.size,
    emit: (frames) => {
      for (let count = 0; count < frames; count += 1) spread(streams, Buffer.from(encodeFrame({ mark, t: now(), text })))
    },
    fill: async () => await pipes.fill()
  }
}
