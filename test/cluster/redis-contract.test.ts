import t from 'tap'
import { clientKinds } from './harness/redis-clients.ts'
import { redisContract } from './harness/redis-under-test.ts'

t.setTimeout(120_000)
for (const kind of clientKinds.filter(({ name }) => !process.env.KIND || name === process.env.KIND)) {
  for (const { name, run } of redisContract(kind)) t.test(name, run)
}
