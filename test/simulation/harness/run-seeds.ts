import { planFor, type Plan } from './plan.ts'
import { World, type Report } from './world.ts'

/** Lines of a trace that are kept. */
const traceLines = 100_000
/** Runs that look for a shorter way to a failure. */
const mostAttempts = 80

/** Figures of all runs together. */
export type Totals = Record<'runs' | 'tasks' | 'updates' | 'events' | 'resumed' | 'gaps' | 'lost' | 'moves' | 'crashes' | 'lapses', number>

export interface Failure {
  readonly seed: number
  readonly faults: readonly string[]
  /** The plan with as few faults as still fail, and what happened then. */
  readonly shortest: { readonly plan: Plan, readonly report: Report }
}

export async function runPlan (plan: Plan, isTraced = false): Promise<Report> {
  return await new World(plan, isTraced ? traceLines : 0).run()
}

/** Runs seeds one after the other, up to the first that fails. */
export async function runSeeds (first: number, count: number, onRun: (report: Report) => void = () => {}): Promise<{ readonly totals: Totals, readonly failure: Failure | null }> {
  const totals: Totals = { runs: 0, tasks: 0, updates: 0, events: 0, resumed: 0, gaps: 0, lost: 0, moves: 0, crashes: 0, lapses: 0 }
  for (let seed = first; seed < first + count; seed++) {
    const plan = planFor(seed)
    const report = await runPlan(plan)
    totals.runs++
    for (const name of Object.keys(totals) as Array<keyof Totals>) if (name !== 'runs') totals[name] += report[name]
    onRun(report)
    if (report.faults.length > 0) return { totals, failure: { seed, faults: report.faults, shortest: await shorten(plan) } }
  }
  return { totals, failure: null }
}

/** Leaves faults out as long as the run still fails, large parts first. */
async function shorten (plan: Plan): Promise<Failure['shortest']> {
  let shortest = plan
  let attempts = 0
  const fails = async (candidate: Plan) => ++attempts <= mostAttempts && (await runPlan(candidate)).faults.length > 0
  for (let size = Math.ceil(plan.faults.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < shortest.faults.length;) {
      const candidate = { ...shortest, faults: shortest.faults.toSpliced(from, size) }
      if (await fails(candidate)) shortest = candidate
      else from += size
    }
  }
  for (const change of [{ pages: 1 }, { pages: 2 }, { isTight: false }, { detours: 0 }]) {
    const candidate = { ...shortest, ...change }
    if (await fails(candidate)) shortest = candidate
  }
  return { plan: shortest, report: await runPlan(shortest, true) }
}

/** What a person needs to know of a failure. */
export function describe ({ seed, faults, shortest: { plan, report } }: Failure): string {
  return [
    `seed ${seed} fails; to repeat it: npm run simulate -- --seed ${seed}`,
    ...faults.map((what) => `  ${what}`),
    '', 'The same with as little as still fails:', JSON.stringify(plan), ...report.faults.map((what) => `  ${what}`),
    '', ...report.trace
  ].join('\n')
}
