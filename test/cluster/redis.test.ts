import t from 'tap'
import { clientKind, clientKinds, clientOfFastify } from './harness/redis-clients.ts'
import { startRedis } from './harness/redis-process.ts'
import { fairContract, redisContract } from './harness/redis-under-test.ts'

// Every client has all cases in test/long/cluster, these slow ones too.
const slow = /lease of a node that is cut off|bounded by count|frozen connection can leave|starts the time|bear a flood|ends with its record/
for (const { name, run } of redisContract('ioredis 6', clientKind('ioredis 6').client)) if (!slow.test(name)) t.test(name, run)

for (const { name, run } of redisContract('without a file', clientKind('redis 6').client, false)) if (/restart/.test(name)) t.test(name, run)

const server = await startRedis({ after: (end) => { t.teardown(end) } })
/** Cases that differ by client, if any do: replies of every shape, and order. */
const telling = /any bytes pass|created once/
for (const { name, client } of clientKinds.slice(1)) {
  for (const each of fairContract(name, () => client(server.port))) if (telling.test(each.name)) t.test(each.name, each.run)
}
for (const each of fairContract('@fastify/redis', (scope) => clientOfFastify(scope, server.port))) {
  if (/created once/.test(each.name)) t.test(each.name, each.run)
}
