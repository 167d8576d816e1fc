import t from 'tap'
import { clientKind, clientKinds, clientOfFastify } from './harness/redis-clients.ts'
import { startRedis } from './harness/redis-process.ts'
import { fairContract, redisContract } from './harness/redis-under-test.ts'

t.setTimeout(120_000)

// The other clients have the same in test/long/cluster.
for (const { name, run } of redisContract('ioredis 6', clientKind('ioredis 6').client)) t.test(name, run)

const server = await startRedis({ after: (end) => { t.teardown(end) } })
/** Cases that differ by client, if any do: replies of every shape, and order. */
const telling = /every node is reported|pieces of any size|any bytes pass|created once|in the order of their sender|leaves neither|come due|a journal grows/
for (const { name, client } of clientKinds) {
  for (const each of fairContract(name, () => client(server.port))) if (telling.test(each.name)) t.test(each.name, each.run)
}
for (const each of fairContract('@fastify/redis', (scope) => clientOfFastify(scope, server.port))) {
  if (/created once|pieces of any size/.test(each.name)) t.test(each.name, each.run)
}
