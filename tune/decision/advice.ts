import type { Objective } from '../input/options.ts'
import type { ServerFigures } from '../measure/server-figures.ts'
import type { Step } from '../measure/step.ts'
import { median } from '../statistics/quantile.ts'
import type { Estimate } from './capacity.ts'
import type { Limit } from './limit.ts'
import type { MemoryFit } from './memory.ts'

export type AdvisedOption = keyof ServerFigures['options']

/** A value for an option, and the reason. */
export interface Advice {
  readonly option: AdvisedOption
  /** The server's value; null from outside only. */
  readonly current: number | null
  readonly value: number
  readonly reason: string
}

export interface AdviceParts {
  readonly steps: readonly Step[]
  readonly capacity: Estimate
  readonly clients: number
  readonly rate: number
  readonly objective: Objective
  readonly limit: Limit
  readonly memory: MemoryFit | null
  readonly figures: ServerFigures | null
  readonly maxMemoryBytes: number
}

const mostWriteBuffer = 64

/** Sizes of buffers and limits that fit what was measured. */
export function advise (parts: AdviceParts): Advice[] {
  const current = parts.figures?.options ?? null
  const writeBuffer = adviseWriteBuffer(parts, current?.writeBuffer ?? null)
  const updatesPerEvent = medianOf(parts.steps, ({ server }) => server === null || server.eventsPerSecond === 0 ? null : server.updatesPerSecond / server.eventsPerSecond) ?? 1
  const measuredBytes = medianOf(parts.steps, ({ server, probe }) => server?.updateBytes || probe.updateBytes || null)
  const updateBytes = Math.max(64, measuredBytes ?? 256)
  const frames = Math.max(64, 2 * Math.ceil(writeBuffer.value + updatesPerEvent), roundUp(2 * writeBuffer.value))
  const queueFrames = Math.max(frames, Math.min(current?.queueFrames ?? 1_024, 1_024))
  const queueBytes = measuredBytes === null
    ? current?.queueBytes ?? 1_048_576
    : kibibytes(Math.max(2 * (writeBuffer.value + updatesPerEvent) * updateBytes, Math.min(1_048_576, queueFrames * updateBytes)))
  return [
    writeBuffer,
    adviseCommandBuffer(parts, current?.commandBuffer ?? null),
    { option: 'queueFrames', current: current?.queueFrames ?? null, value: queueFrames, reason: `must hold more than writeBuffer and the ${count(updatesPerEvent)} updates of an event, or a reader is cut off before its session stalls` },
    { option: 'queueBytes', current: current?.queueBytes ?? null, value: queueBytes, reason: measuredBytes === null ? 'no updates were measured' : `room for ${count(queueBytes / updateBytes)} updates of ${count(updateBytes)} bytes, as measured` },
    adviseBufferedBytes(parts, queueBytes, current?.maxBufferedBytes ?? null),
    ...parts.clients === 0 ? [] : [adviseSessions(parts, current?.maxSessions ?? null)]
  ]
}

function adviseSessions ({ capacity, clients, objective }: AdviceParts, current: number | null): Advice {
  if (capacity.atLeast) return { option: 'maxSessions', current, value: Math.max(clients, current ?? 0), reason: 'more clients were not measured' }
  return { option: 'maxSessions', current, value: clients, reason: `the clients that the server bears within ${objective.name}: beyond them it is better to refuse` }
}

function adviseWriteBuffer ({ limit }: AdviceParts, current: number | null): Advice {
  const kept = current ?? 4
  if (limit !== 'write-buffer') return { option: 'writeBuffer', current, value: kept, reason: 'sessions hardly ever stood still because of it' }
  return { option: 'writeBuffer', current, value: Math.min(mostWriteBuffer, Math.max(4, kept * 4)), reason: 'sessions stood still because it was full; measure again with this value' }
}

function adviseCommandBuffer ({ steps, objective, rate }: AdviceParts, current: number | null): Advice {
  const runMs = medianOf(steps, ({ server }) => server?.runMs ?? null)
  const reason = 'an event behind more than this would be later than the objective allows'
  if (runMs === null || runMs <= 0) return { option: 'commandBuffer', current, value: current ?? 64, reason: 'without the server\'s figures there is no reason for another value' }
  const within = Math.ceil(objective.limitMs / runMs)
  const burst = Math.ceil(rate) + 8
  const value = Math.max(16, burst, Math.min(within, current ?? 64, 256))
  return { option: 'commandBuffer', current, value, reason: `${reason}: a handler takes ${runMs.toPrecision(2)} ms` }
}

function adviseBufferedBytes ({ memory, clients, maxMemoryBytes }: AdviceParts, queueBytes: number, current: number | null): Advice {
  const most = current ?? 268_435_456
  if (memory === null) return { option: 'maxBufferedBytes', current, value: most, reason: 'there are too few readings of the server\'s memory for another value' }
  const room = maxMemoryBytes - memory.baseBytes - clients * memory.bytesPerClient
  // A tenth of the clients may be slow at one time.
  const wanted = Math.max(16_777_216, Math.ceil(clients / 10) * queueBytes)
  return { option: 'maxBufferedBytes', current, value: kibibytes(Math.max(1_048_576, Math.min(wanted, most, room * 0.5))), reason: `a tenth of the clients with full queues, within half of the memory that the process and ${count(clients)} clients leave of --max-memory` }
}

function medianOf (steps: readonly Step[], of: (step: Step) => number | null): number | null {
  const values = steps.flatMap((step) => of(step) ?? [])
  return values.length === 0 ? null : median(values)
}

function roundUp (value: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, value)))
}

function kibibytes (bytes: number): number {
  return Math.max(1, Math.ceil(bytes / 1_024)) * 1_024
}

function count (value: number): string {
  return value >= 10 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(2)))
}

/** The options as code to paste. */
export function formatAdvice (advice: readonly Advice[]): string {
  const lines = (options: readonly AdvisedOption[]): string => options.flatMap((option) => {
    const value = advice.find((one) => one.option === option)?.value
    return value === undefined ? [] : `  ${option}: ${String(value).replaceAll(/\B(?=(\d{3})+$)/g, '_')}`
  }).join(',\n')
  return [
    'await app.register(tether, {',
    lines(['maxSessions', 'maxBufferedBytes']),
    '})',
    'app.tether.stateful(url, {',
    `  upgrade: app.tether.sse.upgrade({ ${lines(['writeBuffer']).trim()} }),`,
    lines(['commandBuffer', 'queueFrames', 'queueBytes']),
    '  // contract, on, …',
    '})'
  ].join('\n')
}
