import type { Baseline, Comparison } from '../harness/report/comparison.ts'
import { formatTable } from '../harness/report/table.ts'
import { comparedWith } from './goals.ts'
import { bare, counted } from './kind.ts'
import type { Round } from './round.ts'
import { entriesOf, type Workload } from './workload.ts'

/** The tables of one workload. */
export function describeRounds (workload: Workload, comparison: Comparison<Round>, ticksPerSecond: number | undefined): string[] {
  const { name: title } = workload
  const entries = entriesOf(workload)
  const names = entries.map(({ name }) => name)
  const others = baselinesOf(workload)
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

/** Every kind is compared with the loop that everybody writes first, and with the least work that Node can do; or with another build. */
function baselinesOf (workload: Workload): Baseline[] {
  const { kinds, shape } = workload
  const has = (name: string): boolean => kinds.some((kind) => kind.name === name)
  if (shape !== undefined) return has(comparedWith(counted)) ? [counted, { title: 'its compared', of: comparedWith }] : [counted]
  const floors = new Map(entriesOf(workload).map(({ name, kind }) => [name, kind.floor]))
  return [bare, ...kinds.some(({ floor }) => has(floor)) ? [{ title: 'its floor', of: (kind: string) => floors.get(kind) }] : []]
}
