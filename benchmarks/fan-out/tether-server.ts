import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import type { BroadcastOptions, BroadcastServer } from '../harness/broadcast/server.ts'
import { loadLibrary } from '../harness/process/library.ts'
import { liveUrl } from '../harness/streams/socket-stream.ts'
import { postUrl } from './posts.ts'
import { Samples } from './samples.ts'

/** As its users run it: a contract, sessions, one group that everybody is in. */
export async function startTetherServer ({ library, streams, frameBytes }: BroadcastOptions, mode: 'sse' | 'websocket'): Promise<BroadcastServer> {
  const { tether, defineContract } = await loadLibrary(library)
  const contract = defineContract({
    events: { pause: Type.Object({}) },
    updates: { sample: Type.Object({ mark: Type.String(), t: Type.Integer(), text: Type.String() }) }
  })
  const samples = new Samples(frameBytes)
  const app = Fastify()
  await app.register(tether, { maxSessions: Math.max(10_000, streams * 2) })
  const live = app.tether.stateful(liveUrl, {
    contract,
    // The readers do nothing but count, so they answer no pings.
    ...mode === 'websocket' ? { mode, upgrade: app.tether.websocket.upgrade({ heartbeatMs: 0 }) } : {},
    initialState: () => ({ paused: false }),
    on: {
      pause: (session) => { session.state.paused = true }
    },
    onConnect: (session, { live }) => { live.group('everybody').add(session) }
  })
  app.post(postUrl, (request, reply) => { reply.code(204).send() })
  const everybody = live.group('everybody')
  return {
    listener: app,
    audience: () => everybody.size,
    emit: (frames) => {
      for (let count = 0; count < frames; count += 1) everybody.broadcast('sample', samples.next())
    }
  }
}
