import http, { type ServerResponse } from 'node:http'
import type { BroadcastOptions, BroadcastServer } from '../harness/broadcast/server.ts'
import { liveUrl, streamHeaders } from '../harness/streams/socket-stream.ts'
import { Samples } from './samples.ts'

/** How the frames of one tick get to all responses. */
export type Spread = (streams: ReadonlySet<ServerResponse>, frames: readonly string[]) => void

/** The loop that everybody writes first: a buffer for each frame, written to each response, whatever `write` says. */
export const loop: Spread = (streams, frames) => {
  for (const frame of frames) {
    const bytes = Buffer.from(frame)
    for (const response of streams) response.write(bytes)
  }
}

/** The least that Node can do: one chunk for all of a tick, framed once, and one write for each socket. */
export const floor: Spread = (streams, frames) => {
  const body = Buffer.from(frames.join(''))
  const chunk = Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n')])
  for (const { socket } of streams) socket?.write(chunk)
}

export async function startBareServer ({ frameBytes }: BroadcastOptions, spread: Spread): Promise<BroadcastServer> {
  const streams = new Set<ServerResponse>()
  const samples = new Samples(frameBytes)
  const listener = http.createServer((request, response) => {
    if (request.url?.startsWith(liveUrl) !== true) {
      request.resume()
      response.writeHead(204).end()
      return
    }
    response.writeHead(200, streamHeaders)
    response.flushHeaders()
    streams.add(response)
    response.on('close', () => streams.delete(response))
  })
  // As long as Fastify's: a connection that posts may pause between two parts of a round.
  listener.keepAliveTimeout = 72_000
  return {
    listener,
    audience: () => streams.size,
    emit: (frames) => spread(streams, Array.from({ length: frames }, () => samples.nextFrame()))
  }
}
