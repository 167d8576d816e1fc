import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import tether, { defineContract, type Session } from 'fastify-tether'
import { answer } from '../../tune/process/child-endpoint.ts'
import { listen } from '../harness/streams/loopback.ts'
import { liveUrl } from '../harness/streams/socket-stream.ts'

// The built-in server: each event causes some updates, as a table that answers a click.

export interface BuiltInOptions {
  /** Bytes of one update on the wire, its event line included. */
  readonly updateBytes: number
  /** Updates that the handler of one event sends. */
  readonly updates: number
  readonly writeBuffer: number
  readonly commandBuffer: number
}

const contract = defineContract({
  events: { refresh: Type.Object({}) },
  updates: { sample: Type.Object({ text: Type.String() }) }
})
const emptyUpdateBytes = `event: sample\ndata: ${JSON.stringify({ text: '' })}\n\n`.length

const calls = {
  start: async ({ updateBytes, updates, writeBuffer, commandBuffer }: BuiltInOptions): Promise<number> => {
    const text = 'x'.repeat(Math.max(0, updateBytes - emptyUpdateBytes))
    const app = Fastify()
    await app.register(tether, { maxSessions: 100_000, tuning: { authorize: () => true } })
    app.tether.stateful(liveUrl, {
      contract,
      upgrade: app.tether.sse.upgrade({ writeBuffer }),
      commandBuffer,
      on: {
        refresh: async (session: Session<unknown, typeof contract.updates>) => {
          for (let sent = 0; sent < updates; sent += 1) await session.send('sample', { text })
        }
      }
    })
    return await listen(app)
  }
}

export type BuiltInCalls = typeof calls

answer(calls)
