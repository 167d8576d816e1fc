/** The updates sent to one session of a chaos run, up to a moment. */
export interface SentSoFar {
  /** Number of the last update sent to it alone. */
  readonly own: number
  /** Number of the last update broadcast to it and others. */
  readonly all: number
  /** The last value of each series, which newer ones replace. */
  readonly values: Readonly<Record<string, number>>
}

/** One thing that a client received. */
export type Observation =
  | { readonly type: 'hello', readonly session: string, readonly verdict: string, readonly seq: number }
  | { readonly type: 'gap', readonly seq: number }
  | { readonly type: 'goodbye', readonly reason: string }
  /** `id` is the id of the update; null for a reader that counts. */
  | { readonly type: 'own', readonly id: string | null, readonly n: number, readonly all: number }
  | { readonly type: 'all', readonly id: string | null, readonly n: number }
  | { readonly type: 'value', readonly id: string | null, readonly series: string, readonly v: number, readonly own: number, readonly all: number }
  | { readonly type: 'snapshot', readonly id: string | null } & SentSoFar
  /** The client will not come back. */
  | { readonly type: 'gaveUp', readonly why: string }
