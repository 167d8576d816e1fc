import { formatAdvice } from '../decision/advice.ts'
import type { Results } from '../decision/results.ts'
import type { Comparison } from './compare.ts'

const verdicts = {
  meets: 'The objectives hold',
  fails: 'The objectives do not hold',
  unknown: 'Cannot tell'
} as const

/** The answer in a sentence. */
export function headline ({ verdict, capacity, settings, objectives, noise }: Results): string {
  const wanted = objectives.map(({ name }) => name).join(', ')
  if (capacity === null) return `${verdicts[verdict]}: nothing could be measured.`
  const { eventsPerSecond: { estimate, interval: [low, high], atLeast }, clients } = capacity
  if (noise.hidesCapacity) return `${verdicts[verdict]}. At ${wanted} the server bore ${count(clients)} clients (${count(estimate)} events a second) beside other processes, which took its time; without them it may bear up to ${count(high)} events a second.`
  const figures = atLeast
    ? `at least ${count(clients)} clients (${count(estimate)} events a second), as far as was measured`
    : `${count(clients)} clients (${count(estimate)} events a second, between ${count(low)} and ${count(high)})`
  return `${verdicts[verdict]}. At ${wanted} the server bears ${figures}, with ${settings.rate} event${settings.rate === 1 ? '' : 's'} a client and second.`
}

/** What the Universal Scalability Law says of the throughput. */
export function describeScalability ({ contention, contentionInterval, coherency, coherencyInterval, peak }: NonNullable<Results['scalability']>): string {
  const small = (value: number): string => value === 0 ? '0' : value.toPrecision(2)
  const term = (name: string, value: number, interval: typeof contentionInterval): string => `${name} ${small(value)}${interval === null ? '' : ` (${small(interval.low)} to ${small(interval.high)})`}`
  const end = peak === null ? 'throughput does not fall as far as was measured' : `throughput begins to fall at ${count(peak)} events a second`
  return `Universal Scalability Law: ${term('contention', contention, contentionInterval)}, ${term('coherency', coherency, coherencyInterval)}; ${end}.`
}

/** What a person reads after a run. */
export function describe (results: Results, comparison: Comparison | null): string {
  const { limit, limitReason, noise, remarks, advice, objectives, memory, knee, scalability, extrapolation, complete } = results
  const lines = ['', headline(results), `Limit: ${limit}. ${limitReason}`]
  if (objectives.length > 1) for (const { name, capacity } of objectives) lines.push(`  ${name}: ${capacity === null ? 'cannot tell' : `${capacity.atLeast ? 'at least ' : ''}${count(capacity.estimate)} events a second`}`)
  if (knee !== null) lines.push(`Knee: throughput leaves the load at ${count(knee.x)} events a second${knee.interval === null ? '' : ` (${count(knee.interval.low)} to ${count(knee.interval.high)})`}.`)
  if (scalability !== null) lines.push(describeScalability(scalability))
  if (memory !== null) lines.push(`Memory: ${megabytes(memory.baseBytes)} MB and ${(memory.bytesPerClient / 1e3).toFixed(1)} KB a client; at most ${megabytes(memory.peakBytes)} MB resident.`)
  if (extrapolation !== null) lines.push(`Extrapolated, not measured: ${extrapolation.nodes} nodes, if nothing they share limits them: ${count(extrapolation.eventsPerSecond)} events a second.`)
  if (comparison !== null) lines.push(comparison.summary)
  if (!complete) lines.push('The run was ended early.')
  if (noise.isNoisy) lines.push('This machine was noisy, so the figures are less sure than their intervals:', ...noise.signs.map((sign) => `  ${sign}`))
  for (const remark of remarks) lines.push(remark)
  if (advice.length > 0) {
    lines.push('', formatAdvice(advice), '')
    for (const { option, current, value, reason } of advice) lines.push(`${option}: ${current === null || current === value ? value : `${value}, now ${current}`}: ${reason}.`)
  }
  return `${lines.join('\n')}\n`
}

export function count (value: number): string {
  return value >= 1_000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)))
}

function megabytes (bytes: number): string {
  return (bytes / 1e6).toFixed(0)
}
