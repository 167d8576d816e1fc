import { optionTable } from '../../../schemas/option-table.ts'
import { randomFrom } from '../../harness/random.ts'

/** Something that goes wrong at a time, or that an operator or the application does. `node` chooses among those that are alive then. */
export type Fault =
  | { readonly is: 'crash' | 'replace' | 'add', readonly at: number, readonly node: number }
  /** Crashes at a node's `count`-th call of a kind from then on: before it, after it, or with its answer. */
  | { readonly is: 'crashAt', readonly at: number, readonly node: number, readonly call: string, readonly count: number, readonly isAnswer: boolean }
  /** The link to the engine breaks, or carries nothing; or the process stands still. */
  | { readonly is: 'cut' | 'freeze' | 'pause', readonly at: number, readonly node: number, readonly ms: number }
  /** The same at a call, as of `crashAt`. */
  | { readonly is: 'cutAt' | 'pauseAt', readonly at: number, readonly node: number, readonly call: string, readonly count: number, readonly isAnswer: boolean, readonly ms: number }
  /** Stands still at a call, as of `crashAt`, and finds that its link to the engine carries nothing when it goes on. */
  | { readonly is: 'stallAt', readonly at: number, readonly node: number, readonly call: string, readonly count: number, readonly isAnswer: boolean, readonly ms: number, readonly awayMs: number }
  /** Calls, answers and messages are slow, and get lost. */
  | { readonly is: 'rough', readonly at: number, readonly ms: number, readonly lost: number, readonly slowMs: number }
  /** A node's `count`-th call of a kind, or its answer, is lost. */
  | { readonly is: 'loseAt', readonly at: number, readonly node: number, readonly call: string, readonly count: number, readonly isAnswer: boolean }
  /** A node reads the log late. */
  | { readonly is: 'lag', readonly at: number, readonly node: number, readonly ms: number, readonly lagMs: number }
  /** Streams break. */
  | { readonly is: 'drop', readonly at: number, readonly page: number, readonly nodeKnowsMs: number }
  /** A page takes nothing from its stream for a time; or its machine sleeps. */
  | { readonly is: 'clog' | 'sleep', readonly at: number, readonly page: number, readonly ms: number }
  /** A page ends its session for good, or goes without a word. Another page comes in its place. */
  | { readonly is: 'bye' | 'vanish', readonly at: number, readonly page: number }
  /** A node broadcasts many at once. */
  | { readonly is: 'burst', readonly at: number, readonly node: number, readonly count: number }
  /** A page gets private updates that no event has caused. With `strike`, its node dies behind them. */
  | { readonly is: 'push', readonly at: number, readonly page: number, readonly count: number }
  | { readonly is: 'strike', readonly at: number, readonly page: number, readonly count: number, readonly ms: number }
  /** The engine answers nobody for a time; then each node comes back when it can. */
  | { readonly is: 'away', readonly at: number, readonly ms: number, readonly spreadMs: number }
  /** The engine loses its memory, or its latest entries to a failover. Each node comes back to it within `spreadMs`. */
  | { readonly is: 'empty', readonly at: number, readonly spreadMs: number }
  | { readonly is: 'failOver', readonly at: number, readonly lost: number, readonly spreadMs: number }

export interface Plan {
  readonly seed: number
  readonly theme: Theme
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
  /** Whether a page may get a gap: something may be lost. */
  readonly mayGap: boolean
  readonly faults: readonly Fault[]
}

export const leaseMs = 600

/** What most of the faults of a run are about. */
const themes = {
  /** All kinds of faults. */
  any: 8,
  /** Sessions move, and some nodes read the log late. Nothing is lost, so nobody may get a gap. */
  lag: 3,
  /** Nodes stand still between a call and its answer, and lose their links. */
  stall: 2,
  /** The engine is away, perhaps loses what it knows, and nodes come back to it at different times. */
  outage: 3,
  /** Queues overflow, and their sessions move before the pages know. */
  overflow: 3,
  /** Nodes die behind updates that no snapshot has, and the sessions move again before their pages are back. */
  lossy: 3
} as const
type Theme = keyof typeof themes
const draw = Object.entries(themes).flatMap(([theme, share]) => new Array<Theme>(share).fill(theme as Theme))

const calls = ['put', 'put', 'put', 'get', 'send', 'send', 'append', 'nodes', 'renew', 'range']

const modes: readonly string[] = optionTable.stateful.persist.choices
const has = (mode: string) => modes.includes(mode)
/** Modes of `persist`, the usual ones more often. */
const persistModes = ['move', 'move', 'move', 'detach', 'detach', 'command', 'event'].filter(has)
const lossyModes = ['move', 'detach'].filter(has)
const survivingModes = ['command', 'event'].filter(has)

/** What happens in the run of a seed. */
export function planFor (seed: number): Plan {
  const random = randomFrom(seed * 7919 + 17)
  const whole = (from: number, to: number) => from + Math.floor(random() * (to - from + 1))
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)]!
  const theme = pick(draw)
  const stormMs = theme === 'outage' || theme === 'stall' ? whole(1_800, 3_000) : whole(700, 1_800)
  const persist = pick(theme === 'lag' || (theme === 'outage' && random() < 0.7) ? lossyModes : theme === 'lossy' ? survivingModes : persistModes)
  const survives = survivingModes.includes(persist)
  const faults: Fault[] = []
  const some = (chance: number, most: number, make: (at: number) => Fault, until = stormMs) => {
    if (random() >= chance) return
    for (let left = whole(1, most); left > 0; left--) faults.push(make(whole(20, until)))
  }
  const node = () => whole(0, 99)
  const page = () => whole(0, 99)
  const away = () => random() < 0.6 ? whole(10, 300) : whole(leaseMs, 3 * leaseMs)
  const trigger = () => ({ call: pick(calls), count: random() < 0.6 ? 1 : whole(2, 4), isAnswer: random() < 0.5 })
  const drop = (at: number): Fault => ({ is: 'drop', at, page: page(), nodeKnowsMs: random() < 0.7 ? whole(0, 20) : whole(100, 2_000) })
  const replace = (at: number): Fault => ({ is: 'replace', at, node: node() })
  // The longest of these is more than a node waits for the log before it takes a session.
  const lag = (at: number): Fault => ({ is: 'lag', at, node: node(), ms: whole(200, 900), lagMs: random() < 0.6 ? whole(20, 250) : whole(250, 1_000) })
  const sleep = (at: number): Fault => ({ is: 'sleep', at, page: page(), ms: whole(200, 1_500) })
  const push = (at: number): Fault => ({ is: 'push', at, page: page(), count: whole(1, 3) })
  // The longest of these is more than a lease.
  const spread = () => random() < 0.5 ? whole(0, 250) : whole(leaseMs, 2 * leaseMs)
  let logMs = 60_000
  switch (theme) {
    case 'any':
      some(0.9, 6, drop)
      some(0.4, 2, (at) => ({ is: 'rough', at, ms: whole(100, 800), lost: random() * 0.15, slowMs: whole(5, 80) }))
      some(0.5, 4, (at) => ({ is: 'loseAt', at, node: node(), ...trigger() }))
      some(0.45, 3, replace)
      some(0.2, 1, (at) => ({ is: 'crash', at, node: node() }))
      some(0.3, 2, (at) => ({ is: 'crashAt', at, node: node(), ...trigger() }))
      some(0.2, 2, (at) => ({ is: 'cut', at, node: node(), ms: away() }))
      some(0.15, 2, (at) => ({ is: 'freeze', at, node: node(), ms: away() }))
      some(0.2, 2, (at) => ({ is: 'pause', at, node: node(), ms: away() }))
      some(0.25, 2, (at) => ({ is: 'cutAt', at, node: node(), ms: away(), ...trigger() }))
      some(0.25, 2, (at) => ({ is: 'pauseAt', at, node: node(), ms: away(), ...trigger() }))
      if (!survives) some(0.1, 1, (at) => ({ is: 'empty', at, spreadMs: 0 }))
      some(0.12, 1, (at) => ({ is: 'away', at, ms: away(), spreadMs: 250 }))
      some(0.1, 2, (at) => ({ is: 'failOver', at, lost: whole(0, 5), spreadMs: 0 }))
      some(0.2, 2, lag)
      some(0.2, 2, push)
      some(0.2, 1, sleep)
      if (random() < 0.15) logMs = whole(leaseMs, 2 * leaseMs)
      break
    case 'lag':
      some(1, 4, lag)
      some(1, 8, drop)
      some(0.5, 3, replace)
      some(0.3, 1, (at) => ({ is: 'crash', at, node: node() }))
      some(0.5, 2, push)
      break
    case 'stall':
      some(1, 3, (at) => ({ is: 'stallAt', at, node: node(), call: pick(['renew', 'renew', 'nodes', 'put', 'get']), count: 1, isAnswer: random() < 0.8, ms: whole(50, leaseMs), awayMs: whole(leaseMs / 2, 2 * leaseMs) }), stormMs / 2)
      some(0.5, 2, (at) => ({ is: 'pauseAt', at, node: node(), ms: away(), ...trigger() }))
      some(0.8, 6, drop)
      some(0.3, 2, replace)
      break
    case 'outage': {
      const at = whole(100, 500)
      const ms = random() < 0.3 ? whole(10, 300) : whole(leaseMs, 2 * leaseMs)
      const kind = random()
      if (!survives && kind < 0.4) faults.push({ is: 'empty', at, spreadMs: spread() })
      else if (kind < 0.5) faults.push({ is: 'failOver', at, lost: whole(0, 5), spreadMs: spread() })
      else faults.push({ is: 'away', at, ms, spreadMs: spread() })
      some(1, 8, drop)
      some(0.3, 2, replace)
      some(0.2, 1, (at) => ({ is: 'crash', at, node: node() }))
      if (random() < 0.3) logMs = whole(leaseMs, 2 * leaseMs)
      break
    }
    case 'overflow':
      for (let left = whole(1, 3); left > 0; left--) {
        const at = whole(50, stormMs)
        const number = page()
        faults.push({ is: 'clog', at, page: number, ms: whole(50, 400) }, { is: 'burst', at: at + whole(1, 30), node: node(), count: whole(10, 50) })
        if (random() < 0.7) faults.push({ is: 'drop', at: at + whole(20, 200), page: number, nodeKnowsMs: whole(0, 20) })
      }
      some(0.8, 4, drop)
      some(0.6, 3, (at) => ({ is: 'burst', at, node: node(), count: whole(5, 30) }))
      some(0.5, 3, replace)
      some(0.3, 2, lag)
      some(0.3, 2, (at) => ({ is: 'cut', at, node: node(), ms: away() }))
      some(0.3, 2, push)
      some(0.6, 2, sleep)
      if (random() < 0.5) logMs = whole(leaseMs, 2 * leaseMs)
      break
    case 'lossy':
      some(1, 3, (at) => ({ is: 'strike', at, page: page(), count: whole(1, 12), ms: whole(2, 20) }))
      some(0.4, 2, (at) => ({ is: 'crashAt', at, node: node(), ...trigger() }))
      some(0.6, 5, drop)
      some(0.5, 3, push)
      some(0.3, 1, sleep)
      some(0.4, 2, replace)
      some(0.3, 2, lag)
      some(0.3, 2, (at) => ({ is: 'burst', at, node: node(), count: whole(2, 8) }))
  }
  some(0.25, 2, (at) => ({ is: 'bye', at, page: page() }))
  // Then the sessions end when their time is over.
  const hasVanished = random() < 0.1
  if (hasVanished) some(1, 2, (at) => ({ is: 'vanish', at, page: page() }))
  return {
    seed,
    theme,
    stormMs,
    nodes: theme === 'lossy' ? whole(3, 4) : whole(2, 4),
    pages: whole(2, 4),
    persist,
    survives,
    freezeMs: random() < 0.3 ? whole(20, 300) : 0,
    reconnectMs: hasVanished ? 8_000 : 600_000,
    isTight: theme === 'overflow' || (theme !== 'lag' && random() < 0.25),
    logMs,
    leaseMs,
    isolatedMs: random() < 0.5 ? 1_200 : 0,
    // With few broadcasts, a page may be ahead of all that its session gets again.
    broadcastEveryMs: theme === 'lossy' && random() < 0.5 ? whole(200, 900) : whole(15, 60),
    actEveryMs: whole(40, 120),
    detours: random() < 0.5 ? 0.1 : 0,
    mayGap: theme !== 'lag',
    faults: faults.sort((one, other) => one.at - other.at)
  }
}
