import http, { type ServerResponse } from 'node:http'
import { liveUrl, streamHeaders } from '../streams/socket-stream.ts'
import { Samples } from './samples.ts'
import type { BroadcastOptions, BroadcastServer } from './server.ts'

/** The same number of bytes as at the start of a session. */
const firstFrame = 'retry: 1000\nid: AAAAAAAAAAAAAAAAAAAAAAAA.0\nevent: tether\n' +
  'data: {"type":"hello","session":"AAAAAAAAAAAAAAAAAAAAAAAA","verdict":"new","seq":0,' +
  '"heartbeatMs":20000,"maxBatch":32,"maxEventBytes":65536}\n\n'

/** Sends the frames of one tick to all responses. */
export type Spread = (streams: ReadonlySet<ServerResponse>, frames: readonly string[]) => void

/** The loop that everybody writes first: a buffer for each frame, written to each response, without a look at the result. */
export const loop: Spread = (streams, frames) => {
  for (const frame of frames) {
    const bytes = Buffer.from(frame)
    for (const response of streams) response.write(bytes)
  }
}

/** The least work that Node can do: one chunk for all frames of a tick, framed once, and one write for each socket. */
export const floor: Spread = (streams, frames) => {
  const body = Buffer.from(frames.join(''))
  const chunk = Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n')])
  for (const { socket } of streams) socket?.write(chunk)
}

/** Node's own server, and nothing else. */
export function createBareServer ({ frameBytes }: BroadcastOptions, spread: Spread): BroadcastServer {
  const streams = new Set<ServerResponse>()
  const samples = new Samples(frameBytes)
  const listener = http.createServer((request, response) => {
    if (request.url?.startsWith(liveUrl) !== true) {
      request.resume()
      response.writeHead(204).end()
      return
    }
    response.writeHead(200, streamHeaders)
    response.write(firstFrame)
    streams.add(response)
    response.on('close', forget)
  })
  // One for all of them: what a stream costs is measured, too.
  function forget (this: ServerResponse): void {
    streams.delete(this)
  }
  // As long as Fastify's: a connection that posts may pause between two parts of a round.
  listener.keepAliveTimeout = 72_000
  return {
    listener,
    audience: () => streams.size,
    emit: (frames) => spread(streams, Array.from({ length: frames }, () => samples.nextFrame())),
    stats: () => ({
      connected: streams.size,
      sessions: streams.size,
      bufferedBytes: [...streams].reduce((sum, response) => sum + response.writableLength, 0)
    })
  }
}
