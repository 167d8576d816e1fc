import { Random } from './random.ts'

/** How often each fault is planned, relative to the others. */
const weights = {
  /** Both sides are reset. */
  reset: 5,
  /** The client's side ends in an orderly way, in the midst of whatever was on its way. */
  truncate: 4,
  /** The server has answered, and no byte of the answer arrives. */
  loseAnswer: 3,
  /** Reset in the midst of a request. */
  cutRequest: 3,
  /** Reset before a byte went either way. */
  refuse: 1,
  /** The client's side is reset; the server hears nothing of it, and is not read from. */
  halfOpen: 3,
  /** The server's side is reset; the client hears nothing of it for a while. */
  deaf: 1,
  /** The server is told that the client has ended its side. */
  halfCloseUp: 1,
  /** The client is told that the server has ended its side; what the client sends still arrives. */
  halfCloseDown: 1,
  /** Nothing goes either way for a while, then everything is reset. */
  stallAndReset: 1,
  /** Nothing goes either way for a while. */
  stall: 3,
  /** Everything from the server arrives late. */
  delay: 3,
  /** What comes from the server arrives a few bytes at a time. */
  trickle: 3
} as const

export type FaultKind = keyof typeof weights
export const faultKinds = Object.keys(weights) as FaultKind[]

/** Those after which a connection is of no more use to its client. */
export const cuts: ReadonlySet<FaultKind> = new Set<FaultKind>(['reset', 'truncate', 'loseAnswer', 'cutRequest', 'refuse', 'halfOpen', 'deaf', 'halfCloseUp', 'halfCloseDown', 'stallAndReset'])

export interface Fault {
  readonly kind: FaultKind
  /** Bytes that go through before it happens, from the server or, for `cutRequest`, from the client. */
  readonly afterBytes: number
  /** How long it lasts. */
  readonly ms: number
  /** Of `trickle`: the most that arrives at a time. */
  readonly pieceBytes: number
}

/** What is to happen to one connection. */
export interface FaultPlan {
  /** By bytes from the server, in order; the last is a cut. */
  readonly down: Fault[]
  /** By bytes from the client. */
  readonly up: Fault[]
}

/** Depends on nothing but these numbers. */
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
      // A request that is cut as it begins would be all that most connections see.
      if (up.length === 0) up.push(fault)
      continue
    }
    down.push(fault)
    if (cuts.has(kind)) return { down, up }
  }
}
