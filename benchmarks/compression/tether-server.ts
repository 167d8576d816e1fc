import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import tether, { defineContract } from 'fastify-tether'
import { listeningPort } from '../harness/listening-port.ts'
import { Samples } from './sample.ts'
import type { CompressionServer } from './server.ts'

const contract = defineContract({
  updates: {
    sample: Type.Object({
      mark: Type.String(),
      series: Type.String(),
      host: Type.String(),
      t: Type.Integer(),
      value: Type.Number(),
      unit: Type.String(),
      state: Type.String(),
      note: Type.String(),
      build: Type.String()
    })
  }
})

/** Sessions that are all in one group. Heartbeats are off: a reader takes each chunk for a burst. */
export async function startTetherServer (streams: number, compression: object | undefined): Promise<CompressionServer> {
  const samples = new Samples()
  const app = Fastify()
  await app.register(tether, { maxSessions: Math.max(10_000, streams * 2), maxCompressorBytes: Number.MAX_SAFE_INTEGER })
  const live = app.tether.stateful('/live', {
    contract,
    upgrade: app.tether.sse.upgrade({ heartbeatMs: 0, ...compression === undefined ? {} : { compression } }),
    onConnect: (session, { live }) => { live.group('everybody').add(session) }
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const everybody = live.group('everybody')
  return {
    port: listeningPort(app.server),
    audience: () => everybody.size,
    emit: (frames) => {
      for (let count = 0; count < frames; count += 1) everybody.broadcast('sample', samples.next())
    },
    stats: () => app.tether.stats().compression
  }
}
