import { defaults } from '../../schemas/defaults.ts'
import { configurationFor, type Configuration } from './configuration.ts'
import { isOverrun, type Measurement, type Reading } from './measurement.ts'
import { needOf, type IdleMemory, type Need } from './memory-model.ts'
import { formatBytes } from '../harness/report/quantity.ts'
import { recommend, type Recommendation, type Sample } from './recommendation.ts'
import type { Speed } from './speed.ts'
import { describeWorkload, type Workload } from './workload.ts'

export interface Goals {
  readonly targetMs?: number
  readonly budgetBytes?: number
  readonly clients: number
  /** Share of the clients that stall at the same time; memory is reserved for them. */
  readonly stalledShare: number
}

/** Advice of one kind of load about a buffer. */
export interface LoadAdvice {
  readonly load: string
  /** The latency that is compared with the target. */
  readonly latency: 'event to update' | 'POST' | null
  readonly recommendation: Recommendation
}

export interface WorkloadAdvice {
  readonly workload: Workload
  readonly name: string
  readonly writeBuffer: readonly LoadAdvice[]
  /** Advice on the channel; empty where only one size was measured. */
  readonly commandBuffer: readonly LoadAdvice[]
  readonly summary: string
  readonly need: Need | null
  /** Null when no size meets the goals. */
  readonly configuration: Configuration | null
}

export interface AdviceParts {
  readonly measurements: readonly Measurement[]
  readonly speeds: readonly Speed[]
  readonly idle: IdleMemory | null
  readonly goals: Goals
  /** The fixed channel of the sweep of write buffers, and the fixed write buffer of the sweep of channels. */
  readonly commandBuffer: number
  readonly writeBuffer: number
}

/** Advice for each measured workload, in the order of the measurements. */
export function advise (parts: AdviceParts): WorkloadAdvice[] {
  const names = [...new Set(parts.measurements.map(({ workload }) => describeWorkload(workload)))]
  return names.flatMap((name) => {
    const measurements = parts.measurements.filter(({ workload }) => describeWorkload(workload) === name)
    const workload = measurements[0]?.workload
    return workload === undefined ? [] : [adviseOn(name, workload, { ...parts, measurements })]
  })
}

function adviseOn (name: string, workload: Workload, parts: AdviceParts): WorkloadAdvice {
  const { measurements, idle, goals } = parts
  const writeBuffer = loadsOf(workload, parts, 'writeBuffer', measurements.filter((one) => one.commandBuffer === parts.commandBuffer))
  const commandSweep = measurements.filter((one) => one.writeBuffer === parts.writeBuffer)
  const commandBuffer = new Set(commandSweep.map((one) => one.commandBuffer)).size > 1
    ? loadsOf(workload, parts, 'commandBuffer', commandSweep)
    : []
  const buffer = largest(writeBuffer)
  const channel = largest(commandBuffer) ?? (commandBuffer.length === 0 ? parts.commandBuffer : null)
  if (buffer === null || channel === null) {
    return { workload, name, writeBuffer, commandBuffer, need: null, configuration: null, summary: refusal([...writeBuffer, ...commandBuffer]) }
  }
  const need = idle === null ? null : needOf({ idle, workload, ...goals, writeBuffer: buffer, commandBuffer: channel })
  if (need !== null && goals.budgetBytes !== undefined && need.totalBytes > goals.budgetBytes) {
    return { workload, name, writeBuffer, commandBuffer, need, configuration: null, summary: overBudget(need, goals.budgetBytes) }
  }
  return {
    workload,
    name,
    writeBuffer,
    commandBuffer,
    need,
    configuration: need === null ? null : configurationFor(workload, goals.clients, buffer, channel, need, goals.budgetBytes),
    summary: summaryOf(writeBuffer, buffer)
  }
}

function loadsOf (workload: Workload, parts: AdviceParts, dimension: 'writeBuffer' | 'commandBuffer', sweep: readonly Measurement[]): LoadAdvice[] {
  const { goals, idle } = parts
  const memoryOf = (one: Measurement): number | null => idle === null
    ? null
    : needOf({ idle, workload, ...goals, writeBuffer: one.writeBuffer, commandBuffer: one.commandBuffer }).totalBytes
  const advice = (load: string, latency: LoadAdvice['latency'], samples: Sample[]): LoadAdvice[] =>
    samples.length === 0
      ? []
      : [{ load, latency, recommendation: recommend(samples, { ...goals, defaultBuffer: dimension === 'writeBuffer' ? defaults.upgrade.writeBuffer : defaults.stateful.commandBuffer }) }]
  const closedLoop = sweep.flatMap((one) => one.closedLoop === null
    ? []
    : [{ buffer: one[dimension], repeat: one.repeat, throughput: one.closedLoop.acceptedPerSecond, latencyMs: null, memoryBytes: memoryOf(one) }])
  return [
    ...advice('closed loop, fast readers', null, closedLoop),
    // A frozen reader takes nothing, with any buffer.
    ...parts.speeds.filter(({ bytesPerSecond }) => bytesPerSecond > 0).flatMap((speed) => {
      // If a reader gets too much, its updates are late by the kernel's buffers, which no option changes.
      const latency = isOverrun(speed, workload) ? 'POST' : 'event to update'
      return advice(`fixed rate, ${speed.name} readers`, latency, sweep.flatMap((one) => {
        const reading = one.fixedRate[speed.name]
        return reading === undefined
          ? []
          : [{ buffer: one[dimension], repeat: one.repeat, throughput: reading.acceptedPerSecond, latencyMs: latencyOf(reading, latency), memoryBytes: memoryOf(one) }]
      }))
    })
  ]
}

/** The p99 in milliseconds. Updates that were missing after the wait took at least as long as the wait. */
function latencyOf (reading: Reading, latency: 'POST' | 'event to update'): number | null {
  if (latency === 'POST') return reading.post.latency.p99
  return reading.update.count === 0 ? null : reading.update.p99 ?? reading.post.seconds * 1000
}

/** The buffer that the most demanding load needs, since it fits all others; null when one load is impossible. */
function largest (loads: readonly LoadAdvice[]): number | null {
  const buffers = loads.map(({ recommendation }) => recommendation.buffer)
  if (buffers.length === 0 || buffers.includes(null)) return null
  return Math.max(...buffers.map((buffer) => buffer ?? 0))
}

function summaryOf (loads: readonly LoadAdvice[], buffer: number): string {
  const asked = loads.filter(({ recommendation }) => recommendation.buffer === buffer && recommendation.outcome !== 'kept')
  const [first] = asked
  if (first !== undefined) return `${first.recommendation.summary} The load that asks for it: ${asked.map(({ load }) => load).join('; ')}.`
  const fallback = loads.find(({ recommendation }) => recommendation.assessments.length > 1) ?? loads[0]
  return fallback?.recommendation.summary ?? ''
}

function refusal (loads: readonly LoadAdvice[]): string {
  const impossible = loads.filter(({ recommendation }) => recommendation.outcome === 'impossible')
  // All loads share the memory, and give the same advice on it.
  const summaries = [...new Set(impossible.map(({ recommendation }) => recommendation.summary))]
  return summaries.map((summary) => summaries.length === 1 && impossible.length > 1
    ? summary
    : `${impossible.filter(({ recommendation }) => recommendation.summary === summary).map(({ load }) => load).join('; ')}: ${summary}`).join('\n')
}

function overBudget (need: Need, budgetBytes: number): string {
  return `Write buffer and channel together need ${formatBytes(need.totalBytes)}, the budget is ${formatBytes(budgetBytes)}: ` +
    'what limits is memory. Give it more, or sweep smaller channels with --command-buffers.'
}
