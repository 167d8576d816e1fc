import type { TetherSession } from './session.ts'

export interface SessionLimits {
  readonly maxSessions: number
  readonly maxDetached: number
  readonly maxPending: number
  readonly pendingMs: number
}

/**
 * Room for sessions, over all `stateful` URLs of one registered plugin: how many
 * there are, which are without a stream, which were closed for good.
 */
export class SessionRegistry {
  readonly limits: SessionLimits
  readonly #maxTombstones: number
  readonly #onRemoved: () => void
  readonly #sessions = new Set<TetherSession>()
  #reserved = 0
  #pending = 0
  // Sets keep the order of insertion: the first has been without a stream for longest.
  readonly #detachedUnproven = new Set<TetherSession>()
  readonly #detachedProven = new Set<TetherSession>()
  /** Ids of sessions closed for good, and until when they are remembered. */
  readonly #tombstones = new Map<string, number>()

  constructor (limits: SessionLimits, maxTombstones: number, onRemoved: () => void) {
    this.limits = limits
    this.#onRemoved = onRemoved
    this.#maxTombstones = maxTombstones
  }

  get size (): number { return this.#sessions.size }
  get detachedCount (): number { return this.#detachedUnproven.size + this.#detachedProven.size }
  get pendingCount (): number { return this.#pending }
  /** Slots taken by requests whose session is not made yet. */
  get reserved (): number { return this.#reserved }

  [Symbol.iterator] (): IterableIterator<TetherSession> {
    return this.#sessions.values()
  }

  /** Takes a slot for a session to be made; false when there is none. */
  reserve (): boolean {
    if (this.#sessions.size + this.#reserved >= this.limits.maxSessions) return false
    this.#reserved++
    return true
  }

  /** Gives a reserved slot back. */
  release (): void {
    this.#reserved--
  }

  /** Takes a place in the pool of prepared sessions; false when it is full. */
  reservePending (): boolean {
    if (this.#pending >= this.limits.maxPending) return false
    this.#pending++
    return true
  }

  releasePending (): void {
    this.#pending--
  }

  /** Puts a session into the slot that was reserved for it. */
  add (session: TetherSession): void {
    this.#reserved--
    this.#sessions.add(session)
  }

  remove (session: TetherSession): void {
    if (!this.#sessions.delete(session)) return
    this.attached(session)
    session.host.sessions.delete(session.id)
    if (session.isClosedForGood) this.#bury(session.id, session.host.limits.reconnectMs)
    this.#onRemoved()
  }

  /** The session has a stream. */
  attached (session: TetherSession): void {
    this.#detachedUnproven.delete(session)
    this.#detachedProven.delete(session)
  }

  /** The session has posted or was resumed. */
  proved (session: TetherSession): void {
    if (this.#detachedUnproven.delete(session)) this.#detachedProven.add(session)
  }

  /** The session lost its stream and is kept; if too many are, the oldest of the least proven goes. */
  detached (session: TetherSession): void {
    (session.proven ? this.#detachedProven : this.#detachedUnproven).add(session)
    while (this.detachedCount > this.limits.maxDetached) {
      const oldest = firstOf(this.#detachedUnproven) ?? firstOf(this.#detachedProven)!
      this.attached(oldest)
      oldest.beginClose('evicted', true)
    }
  }

  /** Whether a session of this id was closed for good a while ago. */
  isBuried (id: string): boolean {
    const until = this.#tombstones.get(id)
    if (until === undefined) return false
    if (until > performance.now()) return true
    this.#tombstones.delete(id)
    return false
  }

  get tombstoneCount (): number { return this.#tombstones.size }

  #bury (id: string, forMs: number): void {
    if (forMs === 0) return
    if (this.#tombstones.size >= this.#maxTombstones) {
      const oldest = this.#tombstones.keys().next()
      if (oldest.done !== true) this.#tombstones.delete(oldest.value)
    }
    this.#tombstones.set(id, performance.now() + forMs)
  }
}

function firstOf<Item> (items: Set<Item>): Item | undefined {
  return items.values().next().value
}
