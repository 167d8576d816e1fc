import { createChannel, createSession } from 'better-sse'
import Fastify from 'fastify'
import { listeningPort } from '../harness/listening-port.ts'
import { blockedQuery, type FanOutOptions, type FanOutServer } from './fan-out-server.ts'
import { Pipes } from './pipe.ts'
import { fillerFor, mark, now } from './sample.ts'

/** One channel. Samples are serialised before they are broadcast, which its `serializer` allows. */
export async function startBetterSseServer ({ frameBytes }: FanOutOptions): Promise<FanOutServer> {
  const channel = createChannel()
  const pipes = new Pipes()
  const text = fillerFor(frameBytes)
  const app = Fastify()
  app.get('/live', async (request, reply) => {
    reply.hijack()
    channel.register(await createSession(request.raw, reply.raw, { serializer: (data) => data as string }))
    if (request.url.endsWith(blockedQuery)) pipes.add(reply.raw)
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    port: listeningPort(app.server),
    path: '/live',
    headers: { accept: 'text/event-stream' },
    audience: () => channel.sessionCount,
    emit: (frames) => {
      for (let count = 0; count < frames; count += 1) {
        channel.broadcast(JSON.stringify({ mark, t: now(), text }), 'sample')
      }
    },
    fill: async () => await pipes.fill()
  }
}
