import { judge, type Goal, type Verdict } from '../harness/verdict.ts'
import { figuresOf, p99, processorTime, ratiosOf, throughput, type Figure } from './figures.ts'
import { baseline, betterSse, counted, exact, fastifySse, kinds } from './kind.ts'
import type { Round } from './round.ts'
import { besideBlocked, type Workload } from './workload.ts'

/** A bound on one entry's figure as a multiple of another's. */
interface Comparison {
  readonly entry: string
  readonly against: string
  readonly figure: Figure
  readonly what: string
  readonly direction: Goal['direction']
  readonly limit: number
}

/** A verdict that says what the ratio is to. */
export interface ComparisonVerdict extends Verdict {
  readonly against: string
}

const peers = kinds.filter(({ peer }) => peer === true).map(({ name }) => name)
const tethers = [counted, exact]

/** The goals of the design that these rounds can tell of. */
export function judgeRounds (rounds: readonly Round[], workloads: readonly Workload[]): ComparisonVerdict[] {
  const verdicts = workloads.flatMap((workload) => comparisonsOf(workload).flatMap((comparison) => {
    const { entry, against, figure, what, direction, limit } = comparison
    const ratios = ratiosOf(rounds, workload.name, entry, figure, against).filter(Number.isFinite)
    if (ratios.length === 0) return []
    return [{ ...judge({ name: `${workload.name}: ${entry}, ${what}`, direction, limit }, ratios), against }]
  }))
  return [...verdicts, ...judgeGrowth(rounds, workloads)]
}

export function describeComparison ({ goal, ratio, outcome, against }: ComparisonVerdict): string {
  const quartiles = `${ratio.lowerQuartile.toFixed(2)}–${ratio.upperQuartile.toFixed(2)}`
  return `${outcome.toUpperCase()}: ${goal.name}: ${ratio.median.toFixed(2)} × ${against} ` +
    `(quartiles ${quartiles} of ${ratio.count} repeats, ${goal.direction} ${goal.limit} ×)`
}

function comparisonsOf ({ burst, blocked }: Workload): Comparison[] {
  if (blocked !== undefined) {
    return tethers.flatMap((name) => {
      const both = { entry: besideBlocked(name, blocked), against: name }
      return [
        { ...both, figure: p99, what: "readers' p99", direction: 'at most', limit: 1.5 },
        { ...both, figure: throughput, what: 'throughput', direction: 'at least', limit: 0.95 }
      ] as const
    })
  }
  if (burst === 1) {
    const cost = { figure: processorTime, direction: 'at most' } as const
    return [
      { ...cost, entry: counted, against: baseline, what: 'CPU per delivery (goal)', limit: 1 },
      { ...cost, entry: counted, against: baseline, what: 'CPU per delivery (gate)', limit: 1.1 },
      { ...cost, entry: counted, against: betterSse, what: 'CPU per delivery', limit: 0.6 },
      { ...cost, entry: counted, against: fastifySse, what: 'CPU per delivery', limit: 0.75 },
      { ...cost, entry: exact, against: baseline, what: 'CPU per delivery', limit: 1.25 }
    ]
  }
  const speed = { figure: throughput, what: 'deliveries a second', direction: 'at least' } as const
  return [
    { ...speed, entry: counted, against: baseline, limit: 3 },
    ...peers.map((against) => ({ ...speed, entry: counted, against, limit: 8 })),
    { ...speed, entry: exact, against: baseline, limit: 1.2 },
    ...peers.map((against) => ({ ...speed, entry: exact, against, limit: 2.5 }))
  ]
}

const few = 1_000
const many = 10_000

/** How the cost of a delivery grows with the streams, as a multiple of the bare loop's own growth. */
function judgeGrowth (rounds: readonly Round[], workloads: readonly Workload[]): ComparisonVerdict[] {
  return workloads.filter(({ readers, burst }) => readers === many && burst === 1).flatMap((large) => {
    const small = workloads.find((workload) =>
      workload.readers === few && workload.burst === 1 && workload.frameBytes === large.frameBytes)
    if (small === undefined) return []
    const growth = (entry: string): number[] => {
      const before = figuresOf(rounds, small.name, entry, processorTime)
      return figuresOf(rounds, large.name, entry, processorTime).map((value, repeat) => value / (before[repeat] ?? Number.NaN))
    }
    const ofBare = growth(baseline)
    return tethers.flatMap((entry) => {
      const ratios = growth(entry).map((value, repeat) => value / (ofBare[repeat] ?? Number.NaN)).filter(Number.isFinite)
      if (ratios.length === 0) return []
      const name = `${many} streams against ${few}: ${entry}, growth of CPU per delivery`
      return [{ ...judge({ name, direction: 'at most', limit: 1.1 }, ratios), against: "the bare loop's own" }]
    })
  })
}
