import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import { listeningPort } from '../harness/listening-port.ts'
import { loadLibrary } from '../harness/plugin-build.ts'
import { eventName, RangeSet } from './event.ts'
import type { EventServer } from './event-server.ts'

/** Sessions with the defaults that users get; the handler does what the bare route does. */
export async function startTetherServer (library: string | undefined): Promise<EventServer> {
  const { tether, defineContract } = await loadLibrary(library)
  const contract = defineContract({
    events: { [eventName]: RangeSet },
    updates: { notice: Type.Object({ text: Type.String() }) }
  })
  let handled = 0
  const app = Fastify()
  await app.register(tether)
  app.tether.stateful('/live', {
    contract,
    initialState: (): { range: RangeSet | undefined } => ({ range: undefined }),
    on: {
      [eventName]: (session, data) => {
        session.state.range = data
        handled += 1
      }
    }
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { port: listeningPort(app.server), handledCount: () => handled }
}
