import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import tether, { conflate, defineContract } from 'fastify-tether'
import { listeningPort } from '../harness/listening-port.ts'
import type { BroadcastServer, StreamServerOptions } from './stream-server.ts'

const contract = defineContract({
  events: {
    'range.set': Type.Object({ range: Type.Union([Type.Literal('1h'), Type.Literal('24h')]) })
  },
  updates: {
    sample: conflate(
      Type.Object({ series: Type.String(), t: Type.Integer(), v: Type.Number() }),
      (sample) => sample.series),
    notice: Type.Object({ text: Type.String() })
  }
})

/** Sessions as a dashboard has them: a small state, a handler, membership of one group. */
export async function startTetherServer ({ streams, keepsBlocked = false }: StreamServerOptions): Promise<BroadcastServer> {
  const app = Fastify()
  await app.register(tether, { maxSessions: Math.max(10_000, streams * 2) })
  const live = app.tether.stateful('/live', {
    contract,
    ...keepsBlocked ? { upgrade: app.tether.sse.upgrade({ stallTimeoutMs: 0 }), onOverflow: 'dropOldest' } : {},
    initialState: () => ({ range: '1h' }),
    on: {
      'range.set': (session, { range }) => { session.state.range = range }
    },
    onConnect: (session, { live }) => { live.group('hosts').add(session) }
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    port: listeningPort(app.server),
    openCount: () => live.stats.connected,
    broadcast: (text) => { live.group('hosts').broadcast('notice', { text }) },
    bufferedBytes: () => app.tether.stats().bufferedBytes,
    isEmpty: () => app.tether.stats().sessions === 0
  }
}
