import { baseline } from './kind.ts'
import type { Round } from './round.ts'

export type Figure = (round: Round) => number

export const processorTime: Figure = ({ closedLoop }) => closedLoop.processorMicroseconds
export const userTime: Figure = ({ closedLoop }) => closedLoop.userMicroseconds ?? Number.NaN
export const readerTime: Figure = ({ closedLoop }) => closedLoop.readerMicroseconds
export const throughput: Figure = ({ closedLoop }) => closedLoop.deliveriesPerSecond
export const residentMiB: Figure = ({ closedLoop, fixedRate }) => (fixedRate ?? closedLoop).residentBytes / 2 ** 20
export const pacedProcessorTime: Figure = ({ fixedRate }) => fixedRate?.processorMicroseconds ?? Number.NaN
export const reachedRate: Figure = ({ fixedRate }) =>
  fixedRate === undefined ? Number.NaN : fixedRate.ticks / fixedRate.seconds / fixedRate.ticksPerSecond
export const p50: Figure = ({ fixedRate }) => fixedRate?.latencyMs.p50 ?? Number.NaN
export const p99: Figure = ({ fixedRate }) => fixedRate?.latencyMs.p99 ?? Number.NaN
export const maximum: Figure = ({ fixedRate }) => fixedRate?.latencyMs.maximum ?? Number.NaN

/** What was measured of one entry of a workload, in the order of the repeats. */
export function figuresOf (rounds: readonly Round[], workload: string, entry: string, figure: Figure): number[] {
  return rounds.filter((round) => round.workload === workload && round.kind === entry).map(figure)
}

/** Per repeat, against another entry in the same repeat, so that a drift of the machine cancels out. */
export function ratiosOf (
  rounds: readonly Round[], workload: string, entry: string, figure: Figure, against = baseline
): number[] {
  const others = figuresOf(rounds, workload, against, figure)
  return figuresOf(rounds, workload, entry, figure).map((value, repeat) => value / (others[repeat] ?? Number.NaN))
}
