import type { Engine } from './engine.ts'
import type { Clock } from './hub/clock.ts'
import type { ClusterMember } from './api.ts'

/** What a node tells of itself. */
export type Card = Omit<ClusterMember, 'name' | 'isSelf'>

/** Another node. */
interface Other {
  readonly card: Card
  /** Its wall clock when it wrote its card, and this node's clock when that was first read here. */
  readonly wroteAt: number
  readonly readAt: number
  /** Until when, on this node's clock, it waits for records that the engine has lost. */
  readonly recoveringUntil: number
}

export interface MembershipParts {
  readonly node: string
  readonly engine: Pick<Engine, 'renew' | 'nodes'>
  readonly leaseMs: number
  readonly clock: Clock
  readonly card: () => Card
  /** For how many milliseconds yet this node waits for records that the engine has lost; 0 for none. */
  readonly recoveringMs?: () => number
  /** A lease begins that is no renewal of one that still runs. Called before {@link Membership.leaseUntil} says so. */
  readonly onNewLease?: () => void
}

/** The lease of one node, and the other nodes as last told. */
export class Membership {
  readonly #parts: MembershipParts
  #others = new Map<string, Other>()
  #leaseUntil = 0
  #reads = 0
  /** The latest read whose answer is in `#others`. */
  #readUpTo = 0

  constructor (parts: MembershipParts) {
    this.#parts = parts
  }

  /** Until when the lease runs surely, on the clock of this node: counted from before the node asked. */
  get leaseUntil (): number { return this.#leaseUntil }

  get nodes (): ClusterMember[] {
    const { node, card } = this.#parts
    return [{ name: node, isSelf: true, ...card() }, ...Array.from(this.#others, ([name, { card: other }]) => ({ name, isSelf: false, ...other }))]
  }

  /** Until when another node waits for records that the engine has lost, as last told; 0 for no node. A newcomer knows it from nobody else. */
  get recoveringUntil (): number {
    let latest = 0
    for (const { recoveringUntil } of this.#others.values()) latest = Math.max(latest, recoveringUntil)
    return latest
  }

  has (node: string): boolean {
    return node === this.#parts.node || this.#others.has(node)
  }

  /** Renews the lease, and reads the others. Rejects with the engine's error. */
  async renew (): Promise<void> {
    const { engine, leaseMs, clock, card, recoveringMs, onNewLease } = this.#parts
    const askedAt = clock.now()
    await engine.renew(leaseMs, Buffer.from(JSON.stringify({ ...card(), wroteAt: Date.now(), recoveringMs: recoveringMs?.() || undefined })))
    if (clock.now() >= this.#leaseUntil) onNewLease?.()
    this.#leaseUntil = Math.max(this.#leaseUntil, askedAt + leaseMs)
    await this.read()
  }

  /** Reads the others. Rejects with the engine's error. */
  async read (): Promise<void> {
    const read = ++this.#reads
    const found = await this.#parts.engine.nodes()
    // A later answer may have come before.
    if (read < this.#readUpTo) return
    this.#readUpTo = read
    const { clock, leaseMs } = this.#parts
    const readAt = clock.now()
    const earlier = this.#others
    this.#others = new Map()
    for (const [name, bytes] of found) {
      if (name === this.#parts.node) continue
      const { recoveringMs, ...other } = readCard(bytes)
      const known = earlier.get(name)
      if (known?.wroteAt === other.wroteAt) this.#others.set(name, { ...other, readAt: known.readAt, recoveringUntil: known.recoveringUntil })
      else this.#others.set(name, { ...other, readAt, recoveringUntil: recoveringMs > 0 ? readAt + Math.min(recoveringMs, leaseMs) : 0 })
    }
  }

  /**
   * The time by the wall clocks of all nodes: the earliest that any of them may have, and the latest. A card is up to a renewal old
   * when it is read, so that a difference below half of `leaseMs` does not count.
   */
  get wallTime (): { readonly earliest: number, readonly latest: number } {
    const { clock, leaseMs } = this.#parts
    let earliest = Date.now()
    let latest = earliest
    for (const { wroteAt, readAt } of this.#others.values()) {
      if (wroteAt === 0) continue
      const least = wroteAt + clock.now() - readAt
      earliest = Math.min(earliest, least + leaseMs / 2)
      latest = Math.max(latest, least)
    }
    return { earliest, latest }
  }

  /** A node has said that it leaves. */
  left (node: string): void {
    this.#others.delete(node)
  }
}

/** Reads the card of another node. What is missing or not allowed gets a value that says nothing. */
function readCard (bytes: Buffer): Pick<Other, 'card' | 'wroteAt'> & { readonly recoveringMs: number } {
  let given: Partial<Record<keyof Card | 'wroteAt' | 'recoveringMs', unknown>> | null = null
  try {
    given = JSON.parse(bytes.toString())
  } catch {}
  const number = (value: unknown) => typeof value === 'number' && Number.isFinite(value) ? value : 0
  return { card: { sessions: number(given?.sessions), startedAt: number(given?.startedAt), draining: given?.draining === true }, wroteAt: number(given?.wroteAt), recoveringMs: number(given?.recoveringMs) }
}
