import type { Engine } from './engine.ts'
import type { Clock } from './hub/clock.ts'
import type { ClusterMember } from './api.ts'

/** What a node tells of itself. */
export type Card = Omit<ClusterMember, 'name' | 'isSelf'>

export interface MembershipParts {
  readonly node: string
  readonly engine: Pick<Engine, 'renew' | 'nodes'>
  readonly leaseMs: number
  readonly clock: Clock
  readonly card: () => Card
  /** A lease begins that is no renewal of one that still runs. Called before {@link Membership.leaseUntil} says so. */
  readonly onNewLease?: () => void
}

/** The lease of one node, and the other nodes as last told. */
export class Membership {
  readonly #parts: MembershipParts
  readonly #others = new Map<string, Card>()
  #leaseUntil = 0
  #reads = 0

  constructor (parts: MembershipParts) {
    this.#parts = parts
  }

  /** Until when the lease runs surely, on the clock of this node: counted from before the node asked. */
  get leaseUntil (): number { return this.#leaseUntil }

  get nodes (): ClusterMember[] {
    const { node, card } = this.#parts
    return [{ name: node, isSelf: true, ...card() }, ...Array.from(this.#others, ([name, other]) => ({ name, isSelf: false, ...other }))]
  }

  has (node: string): boolean {
    return node === this.#parts.node || this.#others.has(node)
  }

  /** Renews the lease, and reads the others. Rejects with the engine's error. */
  async renew (): Promise<void> {
    const { engine, leaseMs, clock, card, onNewLease } = this.#parts
    const askedAt = clock.now()
    await engine.renew(leaseMs, Buffer.from(JSON.stringify(card())))
    if (clock.now() >= this.#leaseUntil) onNewLease?.()
    this.#leaseUntil = Math.max(this.#leaseUntil, askedAt + leaseMs)
    await this.read()
  }

  /** Reads the others. Rejects with the engine's error. */
  async read (): Promise<void> {
    const read = ++this.#reads
    const found = await this.#parts.engine.nodes()
    // A later answer may have come before.
    if (read < this.#reads) return
    this.#others.clear()
    for (const [name, bytes] of found) if (name !== this.#parts.node) this.#others.set(name, readCard(bytes))
  }

  /** A node has said that it leaves. */
  left (node: string): void {
    this.#others.delete(node)
  }
}

/** Reads the card of another node. What is missing or not allowed gets a value that says nothing. */
function readCard (bytes: Buffer): Card {
  let given: Partial<Record<keyof Card, unknown>> | null = null
  try {
    given = JSON.parse(bytes.toString())
  } catch {}
  const number = (value: unknown) => typeof value === 'number' && Number.isFinite(value) ? value : 0
  return { sessions: number(given?.sessions), startedAt: number(given?.startedAt), draining: given?.draining === true }
}
