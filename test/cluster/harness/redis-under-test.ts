import { engineContract, type ContractCase, type EngineUnderTest } from '../../../plugin/entries/contract-tests.ts'
import { redis, type RedisClient } from '../../../plugin/entries/redis.ts'
import { startRedis, type RedisProcess } from './redis-process.ts'
import { startRelay, type Scope } from './relay.ts'

// A busy machine takes hundreds of milliseconds for a call.
const limits = { deadlineMs: 1_000, maxCalls: 1_000, maxCallBytes: 4_000_000 }
const queue = { count: limits.maxCalls, bytes: limits.maxCallBytes }

/** All cases of the contract. Each has a server of its own, and each node a relay before it. */
export function redisContract (name: string, client: (port: number) => RedisClient, isDurable = true): readonly ContractCase[] {
  const underTest: EngineUnderTest = {
    name,
    can: { durable: isDurable, due: true, journal: true },
    faults: ['cut', 'freeze', 'empty', 'restart'],
    deadlineMs: limits.deadlineMs,
    queue,
    async start (scope) {
      const server: RedisProcess = await startRedis(scope, { isDurable })
      return {
        async node (application) {
          const relay = await startRelay(scope, server.port)
          return {
            engine: redis(client(relay.port), limits).engineFor(application),
            cut: () => relay.cut(),
            freeze: () => { relay.freeze() },
            mend: () => { relay.mend() }
          }
        },
        empty: () => server.admin.flushall(),
        restart: async () => {
          await server.kill()
          await server.start()
        }
      }
    }
  }
  return engineContract(underTest)
}

/** The cases in fair weather, with one server or cluster without a file for all of them. */
export function fairContract (name: string, client: (scope: Scope) => RedisClient | Promise<RedisClient>): readonly ContractCase[] {
  const underTest: EngineUnderTest = {
    name,
    can: { durable: false, due: true, journal: true },
    faults: [],
    deadlineMs: 5_000,
    queue,
    start: async (scope) => {
      const given = await client(scope)
      return { node: (application) => ({ engine: redis(given, { ...limits, deadlineMs: 5_000 }).engineFor(application) }) }
    }
  }
  return engineContract(underTest)
}
