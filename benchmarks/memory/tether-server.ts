import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import { loadLibrary } from '../harness/process/library.ts'
import { listen } from '../harness/streams/loopback.ts'
import { liveUrl } from '../harness/streams/socket-stream.ts'
import type { StreamServer, StreamServerOptions } from './stream-server.ts'

/** Sessions as a dashboard has them: a small state, a handler, membership of one group. */
export async function startTetherServer ({ library, streams, keepsBlocked = false }: StreamServerOptions): Promise<StreamServer> {
  const { tether, conflate, defineContract } = await loadLibrary(library)
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
  const app = Fastify()
  await app.register(tether, { maxSessions: Math.max(10_000, streams * 2) })
  const live = app.tether.stateful(liveUrl, {
    contract,
    ...keepsBlocked ? { upgrade: app.tether.sse.upgrade({ stallTimeoutMs: 0 }), onOverflow: 'dropOldest' } : {},
    initialState: () => ({ range: '1h' }),
    on: {
      'range.set': (session, { range }) => { session.state.range = range }
    },
    onConnect: (session, { live }) => { live.group('hosts').add(session) }
  })
  return {
    port: await listen(app),
    openCount: () => live.stats.connected,
    broadcast: (text) => { live.group('hosts').broadcast('notice', { text }) },
    bufferedBytes: () => app.tether.stats().bufferedBytes,
    isEmpty: () => app.tether.stats().sessions === 0
  }
}
