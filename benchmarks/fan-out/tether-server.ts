import { setTimeout as delay } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import { listeningPort } from '../harness/listening-port.ts'
import { loadLibrary } from '../harness/plugin-build.ts'
import { blockedQuery, type FanOutOptions, type FanOutServer } from './fan-out-server.ts'
import { fillerFor, mark, now } from './sample.ts'
import { upgradeHeaders } from './upgrade-headers.ts'

/** Whether readers name their session in a header and count updates, get an id with each, or have a WebSocket. */
export type ReaderKind = 'counted' | 'exact' | 'websocket'

const opening = JSON.stringify({ session: 'new' })
// A frame of text whose mask changes nothing.
const openingFrame = String.fromCharCode(0x81, 0x80 | opening.length, 0, 0, 0, 0) + opening

const filling = 'x'.repeat(65_000)
/** A session whose reader takes nothing for so long is blocked. */
const patienceMs = 100
const fillLimit = 1_000

/** As its users run it: a contract, sessions, one group that everybody is in. */
export async function startTetherServer (options: FanOutOptions, reader: ReaderKind): Promise<FanOutServer> {
  const { tether, defineContract } = await loadLibrary(options.library)
  const contract = defineContract({
    events: { pause: Type.Object({}) },
    updates: {
      sample: Type.Object({ mark: Type.String(), t: Type.Integer(), text: Type.String() }),
      filling: Type.Object({ text: Type.String() })
    }
  })
  const text = fillerFor(options.frameBytes)
  const app = Fastify()
  await app.register(tether, { maxSessions: Math.max(10_000, options.streams * 2) })
  const live = app.tether.stateful('/live', {
    contract,
    // The readers do nothing but count, so they answer no pings.
    ...reader === 'websocket' ? { mode: 'websocket', upgrade: app.tether.websocket.upgrade({ heartbeatMs: 0 }) } : {},
    initialState: () => ({ paused: false }),
    on: {
      pause: (session) => { session.state.paused = true }
    },
    onConnect: (session, { live, request }) => {
      live.group('everybody').add(session)
      if (request.url.endsWith(blockedQuery)) live.group('blocked').add(session)
    }
  })
  app.post('/post', (request, reply) => { reply.code(204).send() })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const everybody = live.group('everybody')
  return {
    port: listeningPort(app.server),
    path: '/live',
    ...reader === 'websocket'
      ? { headers: upgradeHeaders, opening: openingFrame }
      : { headers: { accept: 'text/event-stream', ...reader === 'counted' ? { 'x-tether-session': 'new' } : {} } },
    postPath: '/post',
    audience: () => everybody.size,
    emit: (frames) => {
      for (let count = 0; count < frames; count += 1) everybody.broadcast('sample', { mark, t: now(), text })
    },
    fill: async () => {
      await Promise.all([...live.group('blocked')].map(async (session) => {
        for (let count = 0; count < fillLimit; count += 1) {
          const hasRoom = await Promise.race([session.send('filling', { text: filling }), delay(patienceMs, 'blocked')])
          if (hasRoom === 'blocked') return
        }
        throw new Error('a session that is not read took more than a pipe can hold')
      }))
    }
  }
}
