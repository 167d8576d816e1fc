import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import { loadLibrary } from '../process/library.ts'
import { liveUrl } from '../streams/socket-stream.ts'
import { Samples } from './samples.ts'
import type { BroadcastOptions, BroadcastServer } from './server.ts'

/** The library's streams: with the defaults; without an end for readers that take nothing; or over WebSockets. */
export type Mode = 'usual' | 'keeping' | 'websocket'

/** As in a dashboard: a contract, sessions with a small state, one group of all sessions. */
export async function startTetherServer ({ library, streams, frameBytes }: BroadcastOptions, mode: Mode): Promise<BroadcastServer> {
  const { tether, conflate, defineContract } = await loadLibrary(library)
  const contract = defineContract({
    events: { 'range.set': Type.Object({ range: Type.Union([Type.Literal('1h'), Type.Literal('24h')]) }) },
    updates: {
      sample: Type.Object({ mark: Type.String(), t: Type.Integer(), text: Type.String() }),
      reading: conflate(Type.Object({ series: Type.String(), t: Type.Integer(), v: Type.Number() }), ({ series }) => series)
    }
  })
  const samples = new Samples(frameBytes)
  const app = Fastify()
  await app.register(tether, { maxSessions: Math.max(10_000, streams * 2) })
  const live = app.tether.stateful(liveUrl, {
    contract,
    onOverflow: mode === 'keeping' ? 'dropOldest' : 'disconnect',
    // The readers do nothing but count, so they answer no pings.
    ...mode === 'websocket'
      ? { mode, upgrade: app.tether.websocket.upgrade({ heartbeatMs: 0 }) }
      : { upgrade: app.tether.sse.upgrade(mode === 'keeping' ? { stallTimeoutMs: 0 } : {}) },
    initialState: () => ({ range: '1h' }),
    on: {
      'range.set': (session, { range }) => { session.state.range = range }
    },
    onConnect: (session, { live }) => { live.group('everybody').add(session) }
  })
  app.post('/post', (request, reply) => { reply.code(204).send() })
  const everybody = live.group('everybody')
  return {
    listener: app,
    audience: () => everybody.size,
    emit: (frames) => {
      for (let count = 0; count < frames; count += 1) everybody.broadcast('sample', samples.next())
    },
    stats: () => {
      const { sessions, bufferedBytes } = app.tether.stats()
      return { connected: live.stats.connected, sessions, bufferedBytes }
    }
  }
}
