import type { Comparison, Contest } from '../harness/report/comparison.ts'
import type { Verdict } from '../harness/report/verdict.ts'
import { betterSse, comparableKinds, control, counted, exact, fastifySse, floor, type Kind } from './kind.ts'
import type { Round } from './round.ts'
import { besideBlocked, type Workload } from './workload.ts'

const cost = { what: 'CPU per delivery', figure: ({ closedLoop }: Round) => closedLoop.processorMicroseconds, direction: 'at most' } as const
const speed = { what: 'deliveries a second', figure: ({ closedLoop }: Round) => closedLoop.deliveriesPerSecond, direction: 'at least' } as const
const tail = { what: "readers' p99", figure: ({ fixedRate }: Round) => fixedRate?.latency.p99, direction: 'at most' } as const
const noise = { ...cost, what: 'CPU per delivery, the noise', direction: 'within', limit: 0.05 } as const

/** The library over each carrier, all with counted readers, against its floor. */
const atFloor = comparableKinds.filter(({ name }) => name !== exact)

const oneFrame: ReadonlyArray<Contest<Round>> = [
  { ...noise, kind: 'floor again', against: floor },
  ...atFloor.map(({ name: kind, floor: against }) => ({ ...cost, kind, against, limit: 1.08 })),
  { ...cost, kind: exact, against: floor, limit: 1.35 },
  { ...cost, kind: counted, against: betterSse, limit: 0.6 },
  { ...cost, kind: counted, against: fastifySse, limit: 0.6 }
]

const bursts: ReadonlyArray<Contest<Round>> = [
  { ...noise, kind: 'floor again', against: floor },
  ...atFloor.flatMap(({ name: kind, floor: against }) => [
    { ...cost, kind, against, limit: 1.15 },
    { ...speed, kind, against, limit: 0.87 }
  ]),
  { ...cost, kind: exact, against: floor, limit: 1.6 }
]

/** The present build against the compared one. */
const builds: ReadonlyArray<Contest<Round>> = [
  { ...noise, kind: control, against: counted },
  ...comparableKinds.map(({ name: kind }) => ({ ...cost, kind, against: comparedWith(kind), limit: 1 }))
]

/** Name of the same kind with the compared build. */
export function comparedWith (kind: Kind['name']): string {
  return `${kind} compared`
}

/** Verdicts on the goals that these rounds of one workload measure. */
export function judgeRounds ({ name, burst, blocked, shape }: Workload, comparison: Comparison<Round>): Verdict[] {
  const contests = blocked === undefined
    ? [...shape !== undefined ? [] : burst === 1 ? oneFrame : bursts, ...builds]
    : [counted, exact].flatMap((against): Array<Contest<Round>> => {
        const kind = besideBlocked(against, blocked)
        return [{ ...tail, kind, against, limit: 1.5 }, { ...speed, kind, against, limit: 0.95 }]
      })
  return contests.flatMap((contest) => comparison.judge({ ...contest, what: `${contest.what}, ${name}` }))
}
