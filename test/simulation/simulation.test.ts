import { deepStrictEqual } from 'node:assert/strict'
import t from 'tap'
import { effort } from '../harness/effort.ts'
import { keptPlans } from './harness/kept-plans.ts'
import { planFor } from './harness/plan.ts'
import { describe, runPlan, runSeeds } from './harness/run-seeds.ts'

t.test('whatever fails, at whatever moment, nothing is lost, doubled or left behind', async (t) => {
  const { totals, failure } = await runSeeds(1, effort === 1 ? 80 : 1_000)
  if (failure !== null) return t.fail(describe(failure))
  t.comment(JSON.stringify(totals))
  // A simulation in which nothing happens proves nothing.
  for (const name of ['moves', 'resumed', 'gaps', 'lost', 'crashes', 'lapses'] as const) t.ok(totals[name] > 10, `${totals[name]} ${name}`)
  t.ok(totals.updates > 10_000 && totals.events > 5_000, `${totals.updates} updates, ${totals.events} events`)
})

t.test('what failed once does not fail again', async (t) => {
  for (const { was, plan } of keptPlans) t.strictSame((await runPlan(plan)).faults, [], was)
})

t.test('the same seed gives the same run', async () => {
  for (const seed of [3, 14, 15]) {
    const [one, other] = [await runPlan(planFor(seed), true), await runPlan(planFor(seed), true)]
    deepStrictEqual(one.trace, other.trace)
    deepStrictEqual({ ...one, trace: [] }, { ...other, trace: [] })
  }
})
