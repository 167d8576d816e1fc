import type { Comparison, Contest } from '../harness/report/comparison.ts'
import type { Verdict } from '../harness/report/verdict.ts'
import { bare, betterSse, counted, exact, fastifySse, floor } from './kind.ts'
import type { Round } from './round.ts'
import { besideBlocked, type Workload } from './workload.ts'

const cost = { what: 'CPU per delivery', figure: ({ closedLoop }: Round) => closedLoop.processorMicroseconds, direction: 'at most' } as const
const speed = { what: 'deliveries a second', figure: ({ closedLoop }: Round) => closedLoop.deliveriesPerSecond, direction: 'at least' } as const
const tail = { what: "readers' p99", figure: ({ fixedRate }: Round) => fixedRate?.latency.p99, direction: 'at most' } as const

const oneFrame: ReadonlyArray<Contest<Round>> = [
  { ...cost, kind: counted, against: floor, limit: 1.08 },
  { ...cost, kind: counted, against: bare, limit: 1 },
  { ...cost, kind: counted, against: betterSse, limit: 0.6 },
  { ...cost, kind: counted, against: fastifySse, limit: 0.6 },
  { ...cost, kind: exact, against: floor, limit: 1.35 }
]

const bursts: ReadonlyArray<Contest<Round>> = [
  { ...cost, kind: counted, against: floor, limit: 1.15 },
  { ...speed, kind: counted, against: floor, limit: 0.87 },
  { ...cost, kind: exact, against: floor, limit: 1.6 }
]

/** Verdicts on the goals that these rounds of one workload measure. */
export function judgeRounds ({ name, burst, blocked }: Workload, comparison: Comparison<Round>): Verdict[] {
  const contests = blocked === undefined
    ? burst === 1 ? oneFrame : bursts
    : [counted, exact].flatMap((against): Array<Contest<Round>> => {
        const kind = besideBlocked(against, blocked)
        return [{ ...tail, kind, against, limit: 1.5 }, { ...speed, kind, against, limit: 0.95 }]
      })
  return contests.flatMap((contest) => comparison.judge({ ...contest, what: `${contest.what}, ${name}` }))
}
