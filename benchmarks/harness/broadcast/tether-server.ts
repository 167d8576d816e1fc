import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import { loadLibrary } from '../process/library.ts'
import { liveUrl } from '../streams/socket-stream.ts'
import { Samples } from './samples.ts'
import type { BroadcastOptions, BroadcastServer } from './server.ts'
import { createAudience } from './shapes.ts'

/** The library's streams: with the defaults; without an end for readers that take nothing; over HTTP/2; over WebSockets; or with everything that looks at them. */
export type Mode = 'usual' | 'keeping' | 'http2' | 'websocket' | 'eyes'

/** As in a dashboard: a contract, sessions with a small state, a group of all sessions. */
export async function startTetherServer ({ library, streams, frameBytes, shape = 'all' }: BroadcastOptions, mode: Mode): Promise<BroadcastServer> {
  const { tether, conflate, defineContract } = await loadLibrary(library)
  const contract = defineContract({
    events: { 'range.set': Type.Object({ range: Type.Union([Type.Literal('1h'), Type.Literal('24h')]) }) },
    updates: {
      sample: Type.Object({ mark: Type.String(), t: Type.Integer(), text: Type.String() }),
      reading: conflate(Type.Object({ series: Type.String(), t: Type.Integer(), v: Type.Number() }), ({ series }) => series)
    }
  })
  const samples = new Samples(frameBytes)
  // Its type is that of HTTP/1.1, which makes no difference here.
  const app = mode === 'http2' ? Fastify({ http2: true }) as unknown as FastifyInstance : Fastify()
  await app.register(tether, { maxSessions: Math.max(10_000, streams * 2) })
  if (mode === 'eyes') await (await import('../process/eyes.ts')).openEyes(app)
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
    onConnect: (session) => audience.join(session)
  })
  app.post('/post', (request, reply) => { reply.code(204).send() })
  const audience = createAudience(shape, live, samples, streams)
  const everybody = live.group('everybody')
  return {
    listener: app,
    audience: () => everybody.size,
    emit: (frames) => audience.emit(frames),
    stats: () => {
      const { sessions, bufferedBytes } = app.tether.stats()
      return { connected: live.stats.connected, sessions, bufferedBytes }
    }
  }
}
