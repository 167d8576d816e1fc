// A process with one node over Redis, whose sessions survive when it is killed.
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { mountLive, type LiveConfig } from '../../../plugin/entries/contract-tests/live.ts'
import { redis } from '../../../plugin/entries/redis.ts'
import tether from '../../../plugin/index.ts'

const [port, name, persist] = process.argv.slice(2) as [string, string, 'command' | 'event']
const app = Fastify()
await app.register(tether, { cluster: { engine: redis(new Redis({ port: Number(port), host: '127.0.0.1', lazyConnect: true })), name, leaseMs: 1_000 } })
const live: LiveConfig = {
  persist,
  initialState: () => ({ said: [] }),
  on: { say: ({ state }, { text }) => { (state as { said: string[] }).said.push(text) } }
}
mountLive(app, live, {})
// A process whose parent is dead ends.
process.on('disconnect', () => { process.exit() })
await app.listen({ host: '127.0.0.1', port: 0 })
process.send!({ port: (app.server.address() as { port: number }).port })
