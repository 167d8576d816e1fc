import fastifyWebsocket from '@fastify/websocket'
import Fastify from 'fastify'
import { Samples } from '../harness/broadcast/samples.ts'
import type { BroadcastOptions, BroadcastServer } from '../harness/broadcast/server.ts'
import { liveUrl } from '../harness/streams/socket-stream.ts'

/** The part of a WebSocket that is used here. */
interface Peer {
  send (data: Buffer, options: { binary: boolean }): void
  on (event: 'close', listener: () => void): void
}

/** For reference: another protocol, with less framing. */
export async function startWebsocketServer ({ frameBytes }: BroadcastOptions): Promise<BroadcastServer> {
  const peers = new Set<Peer>()
  const samples = new Samples(frameBytes)
  const app = Fastify()
  await app.register(fastifyWebsocket)
  app.get(liveUrl, { websocket: true }, (peer: Peer) => {
    peers.add(peer)
    peer.on('close', () => peers.delete(peer))
  })
  return {
    listener: app,
    audience: () => peers.size,
    emit: (frames) => {
      for (let count = 0; count < frames; count += 1) {
        const message = Buffer.from(JSON.stringify({ event: 'sample', data: samples.next() }))
        for (const peer of peers) peer.send(message, { binary: false })
      }
    }
  }
}
