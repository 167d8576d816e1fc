import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import { listen } from '../harness/streams/loopback.ts'
import { RangeSet } from './event.ts'
import type { EventServer } from './event-server.ts'

/** The usual Fastify route without sessions: same schema, same status, and a body of the same form. */
export async function startBareServer (): Promise<EventServer> {
  let handled = 0
  let state: RangeSet | undefined
  const app = Fastify()
  const schema = { body: RangeSet, response: { 202: Type.Object({ seq: Type.Integer() }) } }
  app.post<{ Body: RangeSet }>('/events', { schema }, async (request, reply) => {
    state = request.body
    handled += 1
    reply.code(202)
    return { seq: handled }
  })
  return {
    port: await listen(app),
    handledCount: () => {
      if (handled > 0 && state === undefined) throw new Error('an event was counted and not applied')
      return handled
    }
  }
}
