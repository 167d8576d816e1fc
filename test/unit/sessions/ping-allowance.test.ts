import t from 'tap'
import { PingAllowance } from '../../../plugin/sessions/ping-allowance.ts'

t.test('takes as many as a second has, then as many as time gives back', async (t) => {
  const allowance = new PingAllowance(10, 1_000)
  t.ok(allowance.take(7, 1_000))
  t.notOk(allowance.take(4, 1_000), 'all or none')
  t.ok(allowance.take(3, 1_000))
  t.notOk(allowance.take(1, 1_099))
  t.ok(allowance.take(1, 1_101))
  t.notOk(allowance.take(11, 60_000), 'never more than a second has')
  t.ok(allowance.take(10, 60_000))
})
