import type { Told } from './messages.ts'

/** What a page saw, in order. */
export type Seen =
  | { readonly is: 'hello', readonly session: string, readonly verdict: string, readonly seq: number }
  | { readonly is: 'gap', readonly seq: number }
  /** An update; `seq` is null where the page counts. */
  | { readonly is: 'reply', readonly k: number, readonly seq: number | null }
  | { readonly is: 'own', readonly n: number, readonly seq: number | null }
  | { readonly is: 'all', readonly from: string, readonly n: number, readonly seq: number | null }
  | { readonly is: 'snapshot', readonly own: number, readonly at: number, readonly seq: number | null }
  | { readonly is: 'gaveUp', readonly why: string }

/** What a page was told of an event. */
export interface Outcome {
  readonly is: 'accepted' | 'doubt'
  /** The session that had accepted it, as far as the page knows. */
  readonly session: string
}

export interface Page {
  readonly kind: PageKind
  readonly seen: readonly Seen[]
  /** By the event's number. */
  readonly outcomes: ReadonlyMap<number, Outcome>
  readonly faults: readonly string[]
  readonly session: string | null
  act: (count: number) => void
  /** Number of events without an outcome. */
  readonly waiting: number
  close: () => void
}

/**
 * The library's client on event streams, on WebSockets, and on event streams over HTTP/2; and a reader with exact ids, and `fetch`, as
 * the protocol describes them.
 */
export const pageKinds = ['tether', 'bare', 'tether-websocket', 'tether-h2c'] as const

export type PageKind = typeof pageKinds[number]
export type TetherKind = Exclude<PageKind, 'bare'>

export function isTether (kind: PageKind): kind is TetherKind { return kind !== 'bare' }

export const updateNames = ['own', 'line', 'all', 'snapshot'] as const

export const now = (): number => performance.timeOrigin + performance.now()

/** @param seq null where the page counts */
export function seenUpdate (name: typeof updateNames[number], data: unknown, seq: number | null): Seen {
  switch (name) {
    case 'own': return { is: 'own', n: (data as { n: number }).n, seq }
    case 'line': return { is: 'own', n: Number(data), seq }
    case 'all': return { is: 'all', from: (data as Told).from, n: (data as Told).n, seq }
    case 'snapshot': return { is: 'snapshot', own: (data as { own: number }).own, at: now(), seq }
  }
}
