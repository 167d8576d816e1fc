import { quantile } from '../harness/report/statistics.ts'
import type { Results } from './results.ts'

/** Below this share of the requested rate, the figures belong to a slower one. */
const rateReached = 0.9

/** Warnings about the figures, for their reader. */
export function remarksOn ({ machine, measurements, settings }: Results): string[] {
  const remarks: string[] = []
  if (machine.load > machine.cores) {
    remarks.push(`The load was ${machine.load} on ${machine.cores} cores when the run began: what else ran on the machine widens all intervals.`)
  }
  const reached = measurements.flatMap(({ workload, fixedRate }) => Object.values(fixedRate)
    .map(({ post }) => (post.accepted + post.busy) / post.seconds / (workload.eventsPerSecond * settings.sessionsPerSpeed)))
  const median = quantile(reached, 0.5)
  if (median < rateReached) {
    remarks.push(`Only ${Math.round(median * 100)} % of the fixed rate were reached: the machine, or the server, did not answer sooner.`)
  }
  return remarks
}
