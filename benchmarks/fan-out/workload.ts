import type { Pace } from '../harness/broadcast/frame-reader.ts'
import { framesOf } from '../harness/broadcast/shapes.ts'
import type { Kind } from './kind.ts'

/** Additional readers that take nothing, or little; they are not counted. */
export interface Blocked {
  readonly count: number
  readonly pace: Pace
}

/** Frames and readers of one measurement. */
export interface Workload {
  readonly name: string
  readonly kinds: readonly Kind[]
  /** Number of readers that read everything. */
  readonly readers: number
  /** Frames that each gets in one tick. */
  readonly burst: number
  readonly frameBytes: number
  readonly blocked?: Blocked
  /** Only the library's kinds have one other than broadcasts to all. */
  readonly shape?: keyof typeof framesOf
}

/** A part of a workload: a kind, with or without blocked readers. */
export interface Entry {
  readonly name: string
  readonly kind: Kind
  readonly blocked?: Blocked
}

export function workload (kinds: readonly Kind[], readers: number, burst: number, frameBytes: number, blocked?: Blocked): Workload {
  const frames = burst === 1 ? '1 frame' : `${burst} frames`
  const name = `${frames} of ${frameBytes} B a tick, ${readers} readers`
  if (blocked === undefined) return { name, kinds, readers, burst, frameBytes }
  return { name: `${name}, ${describe(blocked)} beside them`, kinds, readers, burst, frameBytes, blocked }
}

export function groupsWorkload (kinds: readonly Kind[], readers: number, frameBytes: number): Workload {
  const name = `broadcasts of ${frameBytes} B to ${readers / 5} groups of 10 and to all, ${readers} readers`
  return { name, kinds, readers, frameBytes, shape: 'groups', burst: framesOf.groups }
}

export function privateWorkload (kinds: readonly Kind[], readers: number, frameBytes: number): Workload {
  const name = `one private send of ${frameBytes} B in ten deliveries, ${readers} readers`
  return { name, kinds, readers, frameBytes, shape: 'private', burst: framesOf.private }
}

/** With blocked readers, each kind is also measured without them in the same run. */
export function entriesOf ({ kinds, blocked }: Workload): Entry[] {
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

export function streamsOf ({ readers, blocked }: Workload): number {
  return readers + (blocked?.count ?? 0)
}
