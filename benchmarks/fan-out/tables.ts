import type { Comparison } from '../harness/report/comparison.ts'
import { formatTable } from '../harness/report/table.ts'
import { bare, floor } from './kind.ts'
import type { Round } from './round.ts'

/** The tables of one workload, for the chosen kinds. */
export function describeRounds (title: string, comparison: Comparison<Round>, names: readonly string[], ticksPerSecond: number | undefined): string[] {
  // Every kind is compared with the loop that everybody writes first, and with the least work that Node can do.
  const others = [bare, floor].filter((name) => names.includes(name))
  const closedLoop = formatTable(names, [
    { title: 'kind', value: (name) => name },
    ...comparison.compared('CPU µs/delivery', ({ closedLoop }) => closedLoop.processorMicroseconds, 2, others),
    comparison.median('of it user', ({ closedLoop }) => closedLoop.userMicroseconds, 2),
    ...others.map((other) => comparison.ratio(({ closedLoop }) => closedLoop.userMicroseconds, other)),
    ...comparison.compared('deliveries/s', ({ closedLoop }) => closedLoop.deliveriesPerSecond, 0, others),
    comparison.median('readers CPU µs', ({ closedLoop }) => closedLoop.readerMicroseconds, 2),
    comparison.median('server MiB', ({ closedLoop, fixedRate }) => (fixedRate ?? closedLoop).residentBytes / 2 ** 20, 0)
  ])
  if (ticksPerSecond === undefined) return [`${title}: closed loop`, closedLoop]
  const fixedRate = formatTable(names, [
    { title: 'kind', value: (name) => name },
    comparison.median('p50 ms', ({ fixedRate }) => fixedRate?.latency.p50, 2),
    ...comparison.compared('p99 ms', ({ fixedRate }) => fixedRate?.latency.p99, 2, others),
    comparison.median('max ms', ({ fixedRate }) => fixedRate?.latency.maximum, 1),
    comparison.median('CPU µs/delivery', ({ fixedRate }) => fixedRate?.processorMicroseconds, 2),
    ...others.map((other) => comparison.ratio(({ fixedRate }) => fixedRate?.processorMicroseconds, other)),
    comparison.median('of the rate', ({ fixedRate }) => fixedRate === undefined ? null : fixedRate.ticks / fixedRate.seconds / ticksPerSecond, 2)
  ])
  return [`${title}: closed loop`, closedLoop, `${title}: fixed rate, ${ticksPerSecond.toFixed(1)} ticks a second`, fixedRate]
}
