import { planFor } from './harness/plan.ts'
import { World } from './harness/world.ts'
const [from, count] = process.argv.slice(2).map(Number) as [number, number]
console.log("loaded"); const t = performance.now()
setTimeout(() => {}, 0); let failed = 0; let tasks = 0
const sums: Record<string, number> = {}
for (let seed = from; seed < from + count; seed++) {
  const t1 = performance.now()
  const report = await new World(planFor(seed), count === 1 ? 100000 : 0).run()
  tasks += report.tasks
  for (const [k, v] of Object.entries(report)) if (typeof v === 'number') sums[k] = (sums[k] ?? 0) + v
  if (count === 1) console.log(report.trace.join('\n'))
  if (failed >= Number(process.env.MAXFAIL ?? 1e9)) { console.log('stopped before', seed); break }
  if (report.faults.length > 0) { failed++; console.log(seed, report.faults.slice(0, 3)) }
  if (performance.now() - t1 > 1000) console.log(seed, 'took', performance.now() - t1)
}
console.log({ failed, ms: performance.now() - t, tasks, sums })
