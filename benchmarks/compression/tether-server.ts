import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import type { BroadcastOptions, BroadcastServer } from '../harness/broadcast/server.ts'
import { loadLibrary } from '../harness/process/library.ts'
import { liveUrl } from '../harness/streams/socket-stream.ts'
import { Samples } from './samples.ts'

const sample = Type.Object({
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

/** Sessions in one group. Heartbeats are off, since a reader counts each chunk as a burst. */
export async function startTetherServer ({ library, streams, compression }: BroadcastOptions): Promise<BroadcastServer> {
  const { tether, defineContract } = await loadLibrary(library)
  const samples = new Samples()
  const app = Fastify()
  await app.register(tether, { maxSessions: Math.max(10_000, streams * 2), maxCompressorBytes: Number.MAX_SAFE_INTEGER })
  const live = app.tether.stateful(liveUrl, {
    contract: defineContract({ updates: { sample } }),
    upgrade: app.tether.sse.upgrade({ heartbeatMs: 0, ...compression === undefined ? {} : { compression } }),
    onConnect: (session, { live }) => { live.group('everybody').add(session) }
  })
  const everybody = live.group('everybody')
  return {
    listener: app,
    audience: () => everybody.size,
    emit: (frames) => {
      for (let count = 0; count < frames; count += 1) everybody.broadcast('sample', samples.next())
    },
    stats: () => app.tether.stats().compression
  }
}
