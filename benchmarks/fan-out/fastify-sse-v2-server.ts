import Fastify from 'fastify'
import { FastifySSEPlugin as fastifySse } from 'fastify-sse-v2'
import { listeningPort } from '../harness/listening-port.ts'
import { blockedQuery, type FanOutOptions, type FanOutServer } from './fan-out-server.ts'
import { Pipes } from './pipe.ts'
import { fillerFor, mark, now } from './sample.ts'

/** Its reply, whose types clash with those of the other package that decorates a reply with `sse`. */
interface PushingReply {
  sse (event: { event?: string, data?: string, comment?: string }): void
}

/** It knows no groups: a set of replies, each pushed to. */
export async function startFastifySseV2Server ({ frameBytes }: FanOutOptions): Promise<FanOutServer> {
  const streams = new Set<PushingReply>()
  const pipes = new Pipes()
  const text = fillerFor(frameBytes)
  const app = Fastify()
  await app.register(fastifySse)
  app.get('/live', (request, reply) => {
    const stream = reply as unknown as PushingReply
    stream.sse({ comment: 'open' })
    streams.add(stream)
    reply.raw.on('close', () => streams.delete(stream))
    if (request.url.endsWith(blockedQuery)) pipes.add(reply.raw)
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    port: listeningPort(app.server),
    path: '/live',
    headers: { accept: 'text/event-stream' },
    audience: () => streams.size,
    emit: (frames) => {
      for (let count = 0; count < frames; count += 1) {
        const message = { event: 'sample', data: JSON.stringify({ mark, t: now(), text }) }
        for (const stream of streams) stream.sse(message)
      }
    },
    fill: async () => await pipes.fill()
  }
}
