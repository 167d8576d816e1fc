import { createChannel, createSession } from 'better-sse'
import Fastify from 'fastify'
import { Samples } from '../harness/broadcast/samples.ts'
import type { BroadcastOptions, BroadcastServer } from '../harness/broadcast/server.ts'
import { liveUrl } from '../harness/streams/socket-stream.ts'

/** One channel. Samples are serialised once before they are sent; its `serializer` allows this. */
export async function startBetterSseServer ({ frameBytes }: BroadcastOptions): Promise<BroadcastServer> {
  const channel = createChannel()
  const samples = new Samples(frameBytes)
  const app = Fastify()
  app.get(liveUrl, async (request, reply) => {
    reply.hijack()
    channel.register(await createSession(request.raw, reply.raw, { serializer: (data) => data as string }))
  })
  return {
    listener: app,
    audience: () => channel.sessionCount,
    emit: (frames) => {
      for (let count = 0; count < frames; count += 1) channel.broadcast(JSON.stringify(samples.next()), 'sample')
    }
  }
}
