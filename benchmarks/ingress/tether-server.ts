import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import { loadLibrary } from '../harness/process/library.ts'
import { listen } from '../harness/streams/loopback.ts'
import { liveUrl } from '../harness/streams/socket-stream.ts'
import { eventName, RangeSet } from './event.ts'
import type { EventServer } from './event-server.ts'

/**
 * Sessions with the default options; the handler does the same as the bare route.
 *
 * @param mode a server with WebSockets handles every request otherwise, so that only their kind has them
 */
export async function startTetherServer (library: string | undefined, mode: 'sse' | 'websocket', hasEyes: boolean): Promise<EventServer> {
  const { tether, defineContract } = await loadLibrary(library)
  const contract = defineContract({
    events: { [eventName]: RangeSet },
    updates: { notice: Type.Object({ text: Type.String() }) }
  })
  let handled = 0
  const app = Fastify()
  await app.register(tether)
  if (hasEyes) await (await import('../harness/process/eyes.ts')).openEyes(app)
  app.tether.stateful(liveUrl, {
    contract,
    mode,
    initialState: (): { range: RangeSet | undefined } => ({ range: undefined }),
    on: {
      [eventName]: (session, data) => {
        session.state.range = data
        handled += 1
      }
    }
  })
  return { port: await listen(app), handledCount: () => handled }
}
