import t from 'tap'
import { clientKinds } from '../../cluster/harness/redis-clients.ts'
import { startCluster } from '../../cluster/harness/redis-process.ts'
import { fairContract, redisContract } from '../../cluster/harness/redis-under-test.ts'

for (const { name, client } of clientKinds) {
  for (const each of redisContract(name, client)) t.test(each.name, each.run)
}

const servers = await startCluster({ after: (end) => { t.teardown(end) } })
for (const { name, cluster } of clientKinds) {
  for (const each of fairContract(`${name}, cluster`, () => cluster(servers[0]!.port))) t.test(each.name, each.run)
}
