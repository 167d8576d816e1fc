import { Random } from './random.ts'

/** The relative frequency of each fault. */
const weights = {
  /** Both sides are reset. */
  reset: 5,
  /** The client's side ends in an orderly way, in the middle of the data. */
  truncate: 4,
  /** The server has answered, but no byte of the answer arrives. */
  loseAnswer: 3,
  /** A reset in the middle of a request. */
  cutRequest: 3,
  /** A reset before any byte in either direction. */
  refuse: 1,
  /** The client's side is reset. The server does not notice, and its data is not read. */
  halfOpen: 3,
  /** The server's side is reset. The client does not notice for a while. */
  deaf: 1,
  /** The server gets the end of the client's side. */
  halfCloseUp: 1,
  /** The client gets the end of the server's side. The client's own data still arrives. */
  halfCloseDown: 1,
  /** No data passes in either direction for a while, then both sides are reset. */
  stallAndReset: 1,
  /** No data passes in either direction for a while. */
  stall: 3,
  /** All data from the server arrives late. */
  delay: 3,
  /** Data from the server arrives a few bytes at a time. */
  trickle: 3
} as const

export type FaultKind = keyof typeof weights
export const faultKinds = Object.keys(weights) as FaultKind[]

/** The faults that make a connection useless to its client. */
export const cuts: ReadonlySet<FaultKind> = new Set<FaultKind>(['reset', 'truncate', 'loseAnswer', 'cutRequest', 'refuse', 'halfOpen', 'deaf', 'halfCloseUp', 'halfCloseDown', 'stallAndReset'])

export interface Fault {
  readonly kind: FaultKind
  /** Bytes that pass before the fault: from the server, or for `cutRequest` from the client. */
  readonly afterBytes: number
  /** Duration of the fault. */
  readonly ms: number
  /** For `trickle`: most bytes at a time. */
  readonly pieceBytes: number
}

/** The planned faults of one connection. */
export interface FaultPlan {
  /** Faults by bytes from the server, in order; the last one is a cut. */
  readonly down: Fault[]
  /** Faults by bytes from the client. */
  readonly up: Fault[]
}

/** Plans the faults of one connection. The same numbers give the same plan. */
export function planFaults (seed: number, client: number, connection: number, mostBytes: number): FaultPlan {
  const random = new Random(seed, client, connection)
  const down: Fault[] = []
  const up: Fault[] = []
  for (let afterBytes = 0; ;) {
    const kind = random.weighted(weights)
    const fault = {
      kind,
      afterBytes: kind === 'cutRequest' ? random.skewed(0, 4_000) : afterBytes += random.skewed(0, mostBytes),
      ms: kind === 'delay' ? random.integer(1, 25) : random.skewed(20, 1_500),
      pieceBytes: random.integer(1, 16)
    }
    if (kind === 'cutRequest') {
      // Only one fault: otherwise most connections would end with their first request.
      if (up.length === 0) up.push(fault)
      continue
    }
    down.push(fault)
    if (cuts.has(kind)) return { down, up }
  }
}
