import { optionTable } from '../../../schemas/option-table.ts'
import { randomFrom } from '../../harness/random.ts'

/** Something that goes wrong at a time, or that an operator does. `node` chooses among those that are alive then. */
export type Fault =
  | { readonly is: 'crash' | 'replace' | 'add', readonly at: number, readonly node: number }
  /** Crashes at a node's `count`-th call of a kind from then on: before it, after it, or with its answer. */
  | { readonly is: 'crashAt', readonly at: number, readonly node: number, readonly call: string, readonly count: number, readonly isAnswer: boolean }
  /** The link to the engine breaks, or carries nothing; or the process stands still. */
  | { readonly is: 'cut' | 'freeze' | 'pause', readonly at: number, readonly node: number, readonly ms: number }
  /** The same at a call, as of `crashAt`. */
  | { readonly is: 'cutAt' | 'pauseAt', readonly at: number, readonly node: number, readonly call: string, readonly count: number, readonly isAnswer: boolean, readonly ms: number }
  /** Calls, answers and messages are slow, and get lost. */
  | { readonly is: 'rough', readonly at: number, readonly ms: number, readonly lost: number, readonly slowMs: number }
  /** A node's `count`-th call of a kind, or its answer, is lost. */
  | { readonly is: 'loseAt', readonly at: number, readonly node: number, readonly call: string, readonly count: number, readonly isAnswer: boolean }
  /** Streams break. */
  | { readonly is: 'drop', readonly at: number, readonly page: number, readonly nodeKnowsMs: number }
  /** A page ends its session for good, or goes without a word. Another page comes in its place. */
  | { readonly is: 'bye' | 'vanish', readonly at: number, readonly page: number }
  /** The engine answers nobody for a time; then each node comes back when it can. */
  | { readonly is: 'away', readonly at: number, readonly ms: number }
  /** The engine loses its memory, or its latest entries to a failover. */
  | { readonly is: 'empty', readonly at: number }
  | { readonly is: 'failOver', readonly at: number, readonly lost: number }

export interface Plan {
  readonly seed: number
  readonly stormMs: number
  readonly nodes: number
  readonly pages: number
  readonly persist: string
  /** Whether a session survives the death of its node. */
  readonly survives: boolean
  readonly freezeMs: number
  readonly reconnectMs: number
  readonly isTight: boolean
  readonly logMs: number
  readonly leaseMs: number
  readonly isolatedMs: number
  readonly broadcastEveryMs: number
  readonly actEveryMs: number
  /** Share of calls that others may overtake. */
  readonly detours: number
  readonly faults: readonly Fault[]
}

export const leaseMs = 600

const calls = ['put', 'put', 'put', 'get', 'send', 'send', 'append', 'nodes', 'renew', 'range']

const modes: readonly string[] = optionTable.stateful.persist.choices
/** Modes of `persist`, the usual ones more often. */
const persistModes = ['move', 'move', 'move', 'detach', 'detach', 'command', 'event'].filter((mode) => modes.includes(mode))

/** What happens in the run of a seed. */
export function planFor (seed: number): Plan {
  const random = randomFrom(seed * 7919 + 17)
  const whole = (from: number, to: number) => from + Math.floor(random() * (to - from + 1))
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)]!
  const stormMs = whole(700, 1_800)
  const persist = pick(persistModes)
  const survives = persist === 'command' || persist === 'event'
  const faults: Fault[] = []
  const some = (chance: number, most: number, make: (at: number) => Fault) => {
    if (random() >= chance) return
    for (let left = whole(1, most); left > 0; left--) faults.push(make(whole(20, stormMs)))
  }
  const node = () => whole(0, 99)
  const away = () => random() < 0.6 ? whole(10, 300) : whole(leaseMs, 3 * leaseMs)
  const trigger = () => ({ call: pick(calls), count: random() < 0.6 ? 1 : whole(2, 4), isAnswer: random() < 0.5 })
  some(0.9, 6, (at) => ({ is: 'drop', at, page: whole(0, 99), nodeKnowsMs: random() < 0.7 ? whole(0, 20) : whole(100, 2_000) }))
  some(0.4, 2, (at) => ({ is: 'rough', at, ms: whole(100, 800), lost: random() * 0.15, slowMs: whole(5, 80) }))
  some(0.5, 4, (at) => ({ is: 'loseAt', at, node: node(), ...trigger() }))
  some(0.45, 3, (at) => ({ is: 'replace', at, node: node() }))
  some(0.2, 1, (at) => ({ is: 'crash', at, node: node() }))
  some(0.3, 2, (at) => ({ is: 'crashAt', at, node: node(), ...trigger() }))
  some(0.2, 2, (at) => ({ is: 'cut', at, node: node(), ms: away() }))
  some(0.15, 2, (at) => ({ is: 'freeze', at, node: node(), ms: away() }))
  some(0.2, 2, (at) => ({ is: 'pause', at, node: node(), ms: away() }))
  some(0.25, 2, (at) => ({ is: 'cutAt', at, node: node(), ms: away(), ...trigger() }))
  some(0.25, 2, (at) => ({ is: 'pauseAt', at, node: node(), ms: away(), ...trigger() }))
  if (!survives) some(0.1, 1, (at) => ({ is: 'empty', at }))
  some(0.12, 1, (at) => ({ is: 'away', at, ms: away() }))
  some(0.1, 2, (at) => ({ is: 'failOver', at, lost: whole(0, 5) }))
  some(0.25, 2, (at) => ({ is: 'bye', at, page: whole(0, 99) }))
  // Then the sessions end when their time is over.
  const hasVanished = random() < 0.1
  if (hasVanished) some(1, 2, (at) => ({ is: 'vanish', at, page: whole(0, 99) }))
  return {
    seed,
    stormMs,
    nodes: whole(2, 4),
    pages: whole(2, 4),
    persist,
    survives,
    freezeMs: random() < 0.3 ? whole(20, 300) : 0,
    reconnectMs: hasVanished ? 8_000 : 600_000,
    isTight: random() < 0.25,
    logMs: random() < 0.15 ? whole(leaseMs, 2 * leaseMs) : 60_000,
    leaseMs,
    isolatedMs: random() < 0.5 ? 1_200 : 0,
    broadcastEveryMs: whole(15, 60),
    actEveryMs: whole(40, 120),
    detours: random() < 0.5 ? 0.1 : 0,
    faults: faults.sort((one, other) => one.at - other.at)
  }
}
