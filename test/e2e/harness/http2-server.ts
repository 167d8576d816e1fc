// An HTTP/2 server in a process of its own. It sends to all sessions as fast as it can.
import type { AddressInfo } from 'node:net'
import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import tether, { defineContract } from '../../../plugin/index.ts'
import { certificate } from './certificate.ts'

const contract = defineContract({ events: { put: Type.Object({}) }, updates: { row: Type.Object({ text: Type.String() }) } })

const app = Fastify({ http2: true, ...process.argv[2] === 'h2' ? { https: certificate() } : {} } as object) as unknown as FastifyInstance
await app.register(tether)
let connects = 0
let disconnects = 0
const live = app.tether.stateful('/live', {
  contract,
  // Node does not notice the loss of a full TLS connection. Only this time limit does.
  upgrade: app.tether.sse.upgrade({ stallTimeoutMs: 2_000 }),
  reconnectMs: 0,
  on: { put: () => {} },
  onConnect: () => { connects++ },
  onDisconnect: () => { disconnects++ }
})
const text = 'x'.repeat(200_000)
setInterval(() => {
  // A stalled session already has enough waiting updates.
  if (app.tether.stats().stalled === 0) live.broadcast('row', { text })
}, 2)

process.on('message', () => {
  const { sessions, streams, stalled } = app.tether.stats()
  process.send!({ sessions, streams, stalled, connects, disconnects, memory: process.memoryUsage.rss() })
})
process.on('disconnect', () => process.exit())

await app.listen({ host: '127.0.0.1', port: 0 })
process.send!({ port: (app.server.address() as AddressInfo).port, cert: certificate().cert })
