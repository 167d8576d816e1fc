import { createChannel, createEventBuffer, createSession, type Channel } from 'better-sse'
import Fastify from 'fastify'
import { listeningPort } from '../harness/listening-port.ts'
import { blockedQuery, type FanOutOptions, type FanOutServer } from './fan-out-server.ts'
import { Pipes } from './pipe.ts'
import { fillerFor, mark, now } from './sample.ts'

/** How the samples of one tick, serialised already, get to all sessions of a channel. */
export type Spread = (channel: Channel, samples: readonly string[]) => void

/** What a channel is for. */
export const broadcast: Spread = (channel, samples) => {
  for (const sample of samples) channel.broadcast(sample, 'sample')
}

/** What a channel does not do: an event buffer, filled once for all of a tick, is given to each session. */
export const batch: Spread = (channel, samples) => {
  const buffer = createEventBuffer({ serializer })
  for (const sample of samples) buffer.event('sample').data(sample).dispatch()
  for (const session of channel.activeSessions) session.batch(buffer)
}

const serializer = (data: unknown): string => data as string

/** One channel. Samples are serialised before they are sent, which its `serializer` allows. */
export async function startBetterSseServer ({ frameBytes }: FanOutOptions, spread: Spread): Promise<FanOutServer> {
  const channel = createChannel()
  const pipes = new Pipes()
  const text = fillerFor(frameBytes)
  const app = Fastify()
  app.get('/live', async (request, reply) => {
    reply.hijack()
    channel.register(await createSession(request.raw, reply.raw, { serializer }))
    if (request.url.endsWith(blockedQuery)) pipes.add(reply.raw)
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    port: listeningPort(app.server),
    path: '/live',
    headers: { accept: 'text/event-stream' },
    audience: () => channel.sessionCount,
    emit: (frames) => {
      spread(channel, Array.from({ length: frames }, () => JSON.stringify({ mark, t: now(), text })))
    },
    fill: async () => await pipes.fill()
  }
}
