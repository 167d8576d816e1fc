import type { ServerHttp2Stream } from 'node:http2'
import { publicAddress } from './client-address.ts'
import { DetachedPool } from './detached-pool.ts'
import { Tombstones } from './tombstones.ts'

export interface SessionLimits {
  readonly maxSessions: number
  /** For each value that `bind` gives; 0 for no limit. */
  readonly maxPerBinding: number
  /** For each public address, where `bind` gives none; 0 for no limit. */
  readonly maxPerAddress: number
  /** 0 for no limit. */
  readonly maxPerConnection: number
  readonly maxDetached: number
  readonly maxPending: number
  readonly pendingMs: number
}

/** How many sessions were refused, and by which limit. */
export interface SessionRefusals {
  maxSessions: number
  maxSessionsPerOwner: number
  maxSessionsPerConnection: number
  /** A stream behind another response on its connection, which could not be sent. */
  pipelined: number
}

/** A connection that carries many streams, and the sessions whose stream was opened on it. */
export interface ConnectionUse {
  sessions: number
}

/** What the registry knows of a session. */
export interface Registered {
  /** For whom it counts; null for nobody. */
  readonly owner: string | null
  /** On which its latest stream was opened, if others share it; kept by the registry. */
  connection: ConnectionUse | null
  /** Whether it ever posted an event or was resumed, so that it is no drive-by. */
  readonly proven: boolean
  close: (reason: 'evicted', options: { reconnect: true }) => unknown
}

const bindingMark = '='
const addressMark = '@'

/** Names who has a session: who `bind` says, or else the public address; null for nobody in particular. */
export function ownerOf (boundTo: string | null, address: string | undefined): string | null {
  if (boundTo !== null) return bindingMark + boundTo
  const ofAddress = publicAddress(address)
  return ofAddress === null ? null : addressMark + ofAddress
}

/**
 * Room for sessions, over all `stateful` URLs of one registered plugin: how many
 * there are and whose, which are without a stream, which were closed for good.
 */
export class SessionRegistry<Session extends Registered> {
  readonly limits: SessionLimits
  readonly refusals: SessionRefusals = { maxSessions: 0, maxSessionsPerOwner: 0, maxSessionsPerConnection: 0, pipelined: 0 }
  readonly #onRemoved: () => void
  readonly #sessions = new Set<Session>()
  #reserved = 0
  #pending = 0
  /** Sessions and reserved slots by their owner. */
  readonly #owners = new Map<string, number>()
  readonly #connections = new WeakMap<object, ConnectionUse>()
  readonly #detachedUnproven = new DetachedPool<Session>()
  readonly #detachedProven = new DetachedPool<Session>()
  /** Ids of sessions closed for good. */
  readonly #buried: Tombstones
  /** Claims of those that were closed before anybody used theirs. */
  readonly #buriedClaims: Tombstones

  constructor (limits: SessionLimits, maxTombstones: number, onRemoved: () => void) {
    this.limits = limits
    this.#onRemoved = onRemoved
    this.#buried = new Tombstones(maxTombstones)
    this.#buriedClaims = new Tombstones(maxTombstones)
  }

  get size (): number { return this.#sessions.size }
  get detachedCount (): number { return this.#detachedUnproven.size + this.#detachedProven.size }
  get pendingCount (): number { return this.#pending }
  /** Slots taken by requests whose session is not made yet. */
  get reserved (): number { return this.#reserved }

  [Symbol.iterator] (): IterableIterator<Session> {
    return this.#sessions.values()
  }

  /** How many owners have a session or a slot. */
  get ownerCount (): number { return this.#owners.size }

  /** Sessions and reserved slots of an owner. */
  countOf (owner: string): number {
    return this.#owners.get(owner) ?? 0
  }

  /** The connection that a request shares with others; null for one that has it to itself. */
  connectionOf (raw: object): ConnectionUse | null {
    const connection = (raw as { stream?: ServerHttp2Stream }).stream?.session
    if (connection === undefined) return null
    let use = this.#connections.get(connection)
    if (use === undefined) this.#connections.set(connection, use = { sessions: 0 })
    return use
  }

  /** Takes a slot for a session to be made, which counts for its owner and its connection; false when there is none. */
  reserve (owner: string | null, connection: ConnectionUse | null): boolean {
    if (this.#sessions.size + this.#reserved >= this.limits.maxSessions) {
      this.refusals.maxSessions++
      return false
    }
    if (owner !== null) {
      const count = this.countOf(owner)
      const most = owner.startsWith(bindingMark) ? this.limits.maxPerBinding : this.limits.maxPerAddress
      if (most > 0 && count >= most) {
        this.refusals.maxSessionsPerOwner++
        return false
      }
    }
    if (!this.admits(connection)) return false
    if (owner !== null) this.#owners.set(owner, this.countOf(owner) + 1)
    if (connection !== null) connection.sessions++
    this.#reserved++
    return true
  }

  /** Whether one more session may have its stream on a connection; counts a refusal. */
  admits (connection: ConnectionUse | null): boolean {
    const most = this.limits.maxPerConnection
    if (connection === null || most === 0 || connection.sessions < most) return true
    this.refusals.maxSessionsPerConnection++
    return false
  }

  /** Gives a reserved slot back. */
  release (owner: string | null, connection: ConnectionUse | null): void {
    this.#reserved--
    this.#discount(owner, connection)
  }

  #discount (owner: string | null, connection: ConnectionUse | null): void {
    if (connection !== null) connection.sessions--
    if (owner === null) return
    const left = this.countOf(owner) - 1
    if (left === 0) this.#owners.delete(owner)
    else this.#owners.set(owner, left)
  }

  /** The session's stream is on that connection now. */
  moved (session: Session, connection: ConnectionUse | null): void {
    if (session.connection === connection) return
    if (session.connection !== null) session.connection.sessions--
    if (connection !== null) connection.sessions++
    session.connection = connection
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
  add (session: Session): void {
    this.#reserved--
    this.#sessions.add(session)
  }

  remove (session: Session): void {
    if (!this.#sessions.delete(session)) return
    this.attached(session)
    this.#discount(session.owner, session.connection)
    session.connection = null
    this.#onRemoved()
  }

  /**
   * Remembers a session that was closed for good.
   *
   * @param claim that it was prepared for, and that nobody used; null for none
   * @param forMs how long it is remembered
   */
  bury (id: string, claim: string | null, forMs: number): void {
    this.#buried.add(id, forMs)
    if (claim !== null) this.#buriedClaims.add(claim, forMs)
  }

  /** The session has a stream. */
  attached (session: Session): void {
    this.#detachedUnproven.delete(session)
    this.#detachedProven.delete(session)
  }

  /** The session has posted or was resumed. */
  proved (session: Session): void {
    if (this.#detachedUnproven.delete(session)) this.#detachedProven.add(session)
  }

  /**
   * The session lost its stream and is kept. If too many are, one goes: of those that
   * never proved themselves, or else of all, the oldest of whoever has most of them.
   */
  detached (session: Session): void {
    (session.proven ? this.#detachedProven : this.#detachedUnproven).add(session)
    while (this.detachedCount > this.limits.maxDetached) {
      const oldest = this.#detachedUnproven.next(session.owner) ?? this.#detachedProven.next(session.owner)!
      this.attached(oldest)
      oldest.close('evicted', { reconnect: true })
    }
  }

  /** Whether a session of this id was closed for good a while ago. */
  isBuried (id: string): boolean {
    return this.#buried.has(id)
  }

  /** Whether a prepared session was closed for good a while ago, before this claim for it was used. */
  isClaimBuried (claim: string): boolean {
    return this.#buriedClaims.has(claim)
  }

  get tombstoneCount (): number { return this.#buried.size }
}
