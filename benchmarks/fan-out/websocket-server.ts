import fastifyWebsocket from '@fastify/websocket'
import Fastify from 'fastify'
import { listeningPort } from '../harness/listening-port.ts'
import { blockedQuery, type FanOutOptions, type FanOutServer } from './fan-out-server.ts'
import { Pipes } from './pipe.ts'
import { fillerFor, mark, now } from './sample.ts'
import { upgradeHeaders } from './upgrade-headers.ts'

/** The part of a WebSocket that is used here. */
interface Peer {
  send (data: Buffer, options: { binary: boolean }): void
  on (event: 'close', listener: () => void): void
}

/** For reference: another protocol, with less around a frame. */
export async function startWebsocketServer ({ frameBytes }: FanOutOptions): Promise<FanOutServer> {
  const peers = new Set<Peer>()
  const pipes = new Pipes()
  const text = fillerFor(frameBytes)
  const app = Fastify()
  await app.register(fastifyWebsocket)
  app.get('/live', { websocket: true }, (peer: Peer, request) => {
    peers.add(peer)
    peer.on('close', () => peers.delete(peer))
    if (request.url.endsWith(blockedQuery)) pipes.add(request.raw.socket)
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    port: listeningPort(app.server),
    path: '/live',
    headers: upgradeHeaders,
    audience: () => peers.size,
    emit: (frames) => {
      for (let count = 0; count < frames; count += 1) {
        const message = Buffer.from(JSON.stringify({ event: 'sample', data: { mark, t: now(), text } }))
        for (const peer of peers) peer.send(message, { binary: false })
      }
    },
    fill: async () => await pipes.fill()
  }
}
