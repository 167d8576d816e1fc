import t from 'tap'
import { DeflateAllowance } from '../../../plugin/compression/deflate-allowance.ts'

t.test('takes a share of the time, and no more', async (t) => {
  let now = 1_000
  const allowance = new DeflateAllowance(0.1, 20, () => now)
  let spent = 0
  for (const end = now + 10_000; now < end;) {
    if (allowance.has()) {
      const startedAt = now
      now += 2
      spent += 2
      allowance.spend(startedAt)
    } else now += 1
  }
  t.ok(spent <= 10_000 * 0.1 + 20 + 2, `${spent} ms of 10,000`)
  t.ok(spent >= 10_000 * 0.1 - 2, 'all of the share is used where there is so much to do')
})

t.test('gathers only so much', async (t) => {
  let now = 0
  const allowance = new DeflateAllowance(0.5, 4, () => now)
  now = 1_000_000
  let spent = 0
  while (allowance.has()) {
    allowance.spend(now - 1)
    spent++
  }
  t.equal(spent, 4)
})

t.test('a long one is paid for before the next', async (t) => {
  let now = 0
  const allowance = new DeflateAllowance(0.1, 5, () => now)
  now += 30
  allowance.spend(0)
  t.equal(allowance.has(), false, '25 ms owed')
  now += 249
  t.equal(allowance.has(), false)
  now += 2
  t.equal(allowance.has(), true)
})
