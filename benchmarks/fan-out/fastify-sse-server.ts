import fastifySse, { type SSEPluginOptions, type SSEReplyInterface } from '@fastify/sse'
import Fastify, { type FastifyPluginAsync } from 'fastify'
import { listeningPort } from '../harness/listening-port.ts'
import { blockedQuery, type FanOutOptions, type FanOutServer } from './fan-out-server.ts'
import { Pipes } from './pipe.ts'
import { fillerFor, mark, now } from './sample.ts'

/** What its default export is; its types give an ES module the namespace instead. */
const plugin = fastifySse as unknown as FastifyPluginAsync<SSEPluginOptions>

/** It knows no groups: a set of streams. Samples are serialised before they are sent, which its `serializer` allows. */
export async function startFastifySseServer ({ frameBytes }: FanOutOptions): Promise<FanOutServer> {
  const streams = new Set<SSEReplyInterface>()
  const pipes = new Pipes()
  const text = fillerFor(frameBytes)
  const app = Fastify()
  await app.register(plugin, { serializer: (data: string) => data })
  app.get('/live', { sse: 'only' }, async (request, reply) => {
    reply.sse.keepAlive()
    reply.sse.sendHeaders()
    streams.add(reply.sse)
    reply.sse.onClose(() => streams.delete(reply.sse))
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
        for (const stream of streams) stream.send(message).catch(ignore)
      }
    },
    fill: async () => await pipes.fill()
  }
}

function ignore (): void {}
