import t from 'tap'
import { Audience } from '../../../plugin/delivery/audience.ts'
import type { BroadcastMember } from '../../../plugin/delivery/broadcast-member.ts'

function member (): BroadcastMember {
  return { deliveredUpTo: 0, isInStep: false, leaveStep () {}, append () {}, writeAppended () {}, scheduleAppended () {} }
}

t.test('without a cohort, the targets are the members', async (t) => {
  const audience = new Audience()
  const [first, second] = [member(), member()]
  audience.add(first)
  audience.add(second)
  t.same([...audience.targets], [first, second])
  t.equal(audience.targets, audience.members)
  audience.delete(first)
  t.same([...audience.targets], [second])
  t.equal(audience.size, 1)
})

t.test('a cohort stands for its members', async (t) => {
  const audience = new Audience()
  const [first, second, third] = [member(), member(), member()]
  const cohort = { deliveredUpTo: 0 }
  for (const one of [first, second, third]) audience.add(one)
  audience.addCohort(cohort)
  audience.gather(first)
  audience.gather(second)
  t.same(new Set(audience.targets), new Set([cohort, third]))
  t.equal(audience.size, 3)

  audience.scatter(first)
  t.ok(audience.targets.has(first))
  const late = member()
  audience.add(late)
  t.ok(audience.targets.has(late))
  audience.delete(late)
  t.notOk(audience.targets.has(late))
})

t.test('after the last cohort, the targets are the members again', async (t) => {
  const audience = new Audience()
  const one = member()
  const cohorts = [{ deliveredUpTo: 0 }, { deliveredUpTo: 0 }]
  audience.add(one)
  for (const cohort of cohorts) audience.addCohort(cohort)
  audience.gather(one)
  audience.deleteCohort(cohorts[0]!)
  t.same([...audience.targets], [cohorts[1]])
  audience.scatter(one)
  audience.deleteCohort(cohorts[1]!)
  t.equal(audience.targets, audience.members)
  t.same([...audience.targets], [one])
})
