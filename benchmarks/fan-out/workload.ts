import type { BroadcastKind } from '../harness/broadcast/contestant.ts'
import type { Pace } from '../harness/broadcast/frame-reader.ts'

/** Additional readers that take nothing, or little; they are not counted. */
export interface Blocked {
  readonly count: number
  readonly pace: Pace
}

/** Frames and readers of one measurement. */
export interface Workload {
  readonly name: string
  /** Number of readers that read everything. */
  readonly readers: number
  /** Frames of one tick. */
  readonly burst: number
  readonly frameBytes: number
  readonly blocked?: Blocked
}

/** A part of a workload: a kind, with or without blocked readers. */
export interface Entry {
  readonly name: string
  readonly kind: BroadcastKind
  readonly blocked?: Blocked
}

export function workload (readers: number, burst: number, frameBytes: number, blocked?: Blocked): Workload {
  const frames = burst === 1 ? '1 frame' : `${burst} frames`
  const name = `${frames} of ${frameBytes} B a tick, ${readers} readers`
  if (blocked === undefined) return { name, readers, burst, frameBytes }
  return { name: `${name}, ${describe(blocked)} beside them`, readers, burst, frameBytes, blocked }
}

/** With blocked readers, each kind is also measured without them in the same run. */
export function entriesOf ({ blocked }: Workload, kinds: readonly BroadcastKind[]): Entry[] {
  return kinds.flatMap((kind) => [
    { name: kind.name, kind },
    ...blocked === undefined ? [] : [{ name: besideBlocked(kind.name, blocked), kind, blocked }]
  ])
}

export function besideBlocked (name: string, blocked: Blocked): string {
  return `${name} + ${describe(blocked)}`
}

function describe ({ count, pace }: Blocked): string {
  return `${count} ${pace}`
}

/** Client counts, bursts, frame sizes, blocked readers. */
export const allWorkloads: readonly Workload[] = [
  workload(100, 1, 200),
  workload(1_000, 1, 200),
  workload(2_000, 1, 200),
  workload(10_000, 1, 200),
  workload(1_000, 10, 200),
  workload(1_000, 100, 200),
  workload(1_000, 1, 2_000),
  workload(1_000, 1, 20_000),
  workload(900, 1, 200, { count: 100, pace: 'frozen' }),
  workload(900, 1, 200, { count: 100, pace: 'slow' })
]

/** Workloads with the main goals. */
export const defaultWorkloads: readonly Workload[] = [workload(2_000, 1, 200), workload(1_000, 10, 200)]

export function streamsOf ({ readers, blocked }: Workload): number {
  return readers + (blocked?.count ?? 0)
}
