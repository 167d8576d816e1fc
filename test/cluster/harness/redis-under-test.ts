import { engineContract, type ContractCase, type EngineUnderTest } from '../../../plugin/entries/contract-tests.ts'
import { redis } from '../../../plugin/entries/redis.ts'
import type { ClientKind } from './redis-clients.ts'
import { startRedis, type RedisProcess } from './redis-process.ts'
import { startRelay } from './relay.ts'

const limits = { deadlineMs: 500, maxCalls: 1_000, maxCallBytes: 4_000_000 }

/** The cases of the contract over one client, each with a server of its own behind a relay for each node. */
export function redisContract (kind: ClientKind, isDurable = true): readonly ContractCase[] {
  const underTest: EngineUnderTest = {
    name: kind.name,
    can: { durable: true, due: true, journal: true },
    faults: ['cut', 'freeze', 'empty', ...isDurable ? ['restart' as const] : []],
    deadlineMs: limits.deadlineMs,
    queue: { count: limits.maxCalls, bytes: limits.maxCallBytes },
    async start (scope) {
      const server: RedisProcess = await startRedis(scope, { isDurable })
      return {
        async node (application) {
          const relay = await startRelay(scope, server.port)
          return {
            engine: redis(kind.client(relay.port), limits).engineFor(application),
            cut: () => { relay.cut() },
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
