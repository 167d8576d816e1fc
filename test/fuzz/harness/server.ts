// The server that is fuzzed, in a process of its own.
import type { AddressInfo } from 'node:net'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import tether, { conflate, defineContract, text } from '../../../plugin/index.ts'
import type { FuzzReport } from './server-process.ts'

const contract = defineContract({
  events: {
    ping: Type.Object({}),
    say: Type.Object({ text: Type.String({ maxLength: 200 }), to: Type.Optional(Type.Array(Type.String(), { maxItems: 4 })) }),
    shape: Type.Object({
      kind: Type.Union([
        Type.Object({ type: Type.Literal('circle'), r: Type.Number({ exclusiveMinimum: 0 }) }),
        Type.Object({ type: Type.Literal('path'), points: Type.Array(Type.Tuple([Type.Number(), Type.Number()]), { maxItems: 50 }) }),
        Type.Null()
      ]),
      tags: Type.Record(Type.String({ pattern: '^[a-z]{1,8}$' }), Type.Integer()),
      at: Type.Optional(Type.String({ format: 'date-time' }))
    }),
    count: Type.Object({ to: Type.Integer(), on: Type.Boolean() }),
    fail: Type.Object({}),
    end: Type.Object({})
  },
  updates: {
    said: Type.Object({ text: Type.String() }),
    total: conflate(Type.Object({ n: Type.Integer() })),
    row: text()
  }
})

// Thousands of errors are made here, and nobody looks at where.
Error.stackTraceLimit = 2

const complaints: string[] = []
let handled = 0

function complain (what: string): void {
  if (complaints.length < 20) complaints.push(what)
}

process.on('unhandledRejection', (reason) => complain(`unhandled rejection: ${String((reason as Error)?.stack ?? reason)}`))
process.on('uncaughtException', (error) => complain(`uncaught: ${error.stack}`))

const app = Fastify({
  logger: {
    level: 'error',
    stream: {
      write: (line: string) => {
        // The event that fails does so on purpose.
        if (!line.includes('failed on purpose')) complain(line.trim())
      }
    }
  }
})
await app.register(tether, { maxSessions: 5_000, maxPending: 16, pendingMs: 300, trustedOrigins: ['https://trusted.example'] })

const live = app.tether.stateful('/live', {
  contract,
  upgrade: app.tether.sse.upgrade({ retryMs: 20, heartbeatMs: 500 }),
  reconnectMs: 300,
  commandBuffer: 40,
  bind: (request) => request.headers['x-user'] as string | undefined,
  initialState: () => ({ total: 0 }),
  on: {
    ping: () => { handled++ },
    say: (session, { text }, { live }) => {
      // Every one of them would be most of the work.
      if (++handled % 8 === 0) live.group('room').broadcast('said', { text })
    },
    shape: (session) => {
      handled++
      session.send('row', 'a\nshape')
    },
    count: (session) => {
      handled++
      session.send('total', { n: ++session.state.total })
    },
    fail: async () => {
      handled++
      throw new Error('failed on purpose')
    },
    end: (session) => {
      handled++
      session.close('the end')
    }
  },
  onConnect: (session, { live }) => { live.group('room').add(session) }
})
app.get('/page', async (request) => ({ session: await live.prepare(request) }))

process.on('message', (order: 'report' | 'stop') => {
  if (order === 'stop') {
    app.close().then(() => process.disconnect())
    return
  }
  globalThis.gc!()
  const { sessions, streams, pending, bufferedBytes, eventsAccepted } = app.tether.stats()
  const { heapUsed } = process.memoryUsage()
  const report: FuzzReport = { complaints, handled, eventsAccepted, sessions, streams, pending, bufferedBytes, groups: live.stats.groups, heapUsed }
  process.send!(report)
})
process.on('disconnect', () => process.exit())

await app.listen({ host: '127.0.0.1', port: 0 })
process.send!((app.server.address() as AddressInfo).port)
