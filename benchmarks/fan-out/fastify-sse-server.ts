import fastifySse, { type SSEPluginOptions, type SSEReplyInterface } from '@fastify/sse'
import Fastify, { type FastifyPluginAsync } from 'fastify'
import { Samples } from '../harness/broadcast/samples.ts'
import type { BroadcastOptions, BroadcastServer } from '../harness/broadcast/server.ts'
import { liveUrl } from '../harness/streams/socket-stream.ts'

/** Its default export. Its types give an ES module the namespace instead. */
const plugin = fastifySse as unknown as FastifyPluginAsync<SSEPluginOptions>

/** A set of streams, since the library has no groups. Samples are serialised once before they are sent; its `serializer` allows this. */
export async function startFastifySseServer ({ frameBytes }: BroadcastOptions): Promise<BroadcastServer> {
  const streams = new Set<SSEReplyInterface>()
  const samples = new Samples(frameBytes)
  const app = Fastify()
  await app.register(plugin, { serializer: (data: string) => data })
  app.get(liveUrl, { sse: 'only' }, async (request, reply) => {
    reply.sse.keepAlive()
    reply.sse.sendHeaders()
    streams.add(reply.sse)
    reply.sse.onClose(() => streams.delete(reply.sse))
  })
  return {
    listener: app,
    audience: () => streams.size,
    emit: (frames) => {
      for (let count = 0; count < frames; count += 1) {
        const message = { event: 'sample', data: JSON.stringify(samples.next()) }
        for (const stream of streams) stream.send(message).catch(ignore)
      }
    }
  }
}

function ignore (): void {}
