import type { ServerHttp2Stream } from 'node:http2'
import { systemTime, type TimeSource } from '../../schemas/time-source.ts'
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

/** Number of sessions refused, by limit. */
export interface SessionRefusals {
  maxSessions: number
  maxSessionsPerOwner: number
  maxSessionsPerConnection: number
  /** The stream stood behind another response on its connection, and could not be sent. */
  pipelined: number
}

/** A connection that carries many streams. */
export interface ConnectionUse {
  /** Sessions whose latest stream was opened on it. */
  sessions: number
}

/** A session, as the registry sees it. */
export interface Registered {
  /** Counts against the owner's limit; null for no owner. */
  readonly owner: string | null
  /** The shared connection of its latest stream; kept by the registry. */
  connection: ConnectionUse | null
  /** Whether it ever posted an event or was resumed. */
  readonly proven: boolean
  close: (reason: 'evicted', options: { reconnect: true }) => unknown
}

const bindingMark = '='
const addressMark = '@'

/** The owner of a session: the value of `bind`, or else the public address; null for no owner. */
export function ownerOf (boundTo: string | null, address: string | undefined): string | null {
  if (boundTo !== null) return bindingMark + boundTo
  const ofAddress = publicAddress(address)
  return ofAddress === null ? null : addressMark + ofAddress
}

/**
 * Holds the limits on sessions over all `stateful` URLs of one registered plugin. It knows all
 * sessions and their owners, those without a stream, and those that were closed for good.
 */
export class SessionRegistry<Session extends Registered> {
  readonly limits: SessionLimits
  readonly refusals: SessionRefusals = { maxSessions: 0, maxSessionsPerOwner: 0, maxSessionsPerConnection: 0, pipelined: 0 }
  readonly #onRemoved: () => void
  readonly #evict: (session: Session) => void
  readonly #sessions = new Set<Session>()
  #reserved = 0
  #unclaimed = 0
  /** Number of sessions and reserved slots of each owner. */
  readonly #owners = new Map<string, number>()
  readonly #connections = new WeakMap<object, ConnectionUse>()
  readonly #detachedUnproven = new DetachedPool<Session>()
  readonly #detachedProven = new DetachedPool<Session>()
  /** Ids of sessions closed for good. */
  readonly #buried: Tombstones
  /** Unused claims of closed sessions. */
  readonly #buriedClaims: Tombstones

  /** @param evict ends a session without a stream, where too many wait */
  constructor (limits: SessionLimits, maxTombstones: number, onRemoved: () => void, time: TimeSource = systemTime, evict: (session: Session) => void = (session) => { session.close('evicted', { reconnect: true }) }) {
    this.limits = limits
    this.#onRemoved = onRemoved
    this.#evict = evict
    this.#buried = new Tombstones(maxTombstones, time)
    this.#buriedClaims = new Tombstones(maxTombstones, time)
  }

  get size (): number { return this.#sessions.size }
  get detachedCount (): number { return this.#detachedUnproven.size + this.#detachedProven.size }
  get unclaimedCount (): number { return this.#unclaimed }
  /** Slots of requests whose session is not made yet. */
  get reserved (): number { return this.#reserved }

  [Symbol.iterator] (): IterableIterator<Session> {
    return this.#sessions.values()
  }

  /** Number of owners with a session or a slot. */
  get ownerCount (): number { return this.#owners.size }

  /** Number of sessions and reserved slots of an owner. */
  countOf (owner: string): number {
    return this.#owners.get(owner) ?? 0
  }

  /** The connection of a request, if other requests may share it; null otherwise. */
  connectionOf (raw: object): ConnectionUse | null {
    const connection = (raw as { stream?: ServerHttp2Stream }).stream?.session
    if (connection === undefined) return null
    let use = this.#connections.get(connection)
    if (use === undefined) this.#connections.set(connection, use = { sessions: 0 })
    return use
  }

  /** Whether there is no slot left for anybody. */
  get isFull (): boolean { return this.#sessions.size + this.#reserved >= this.limits.maxSessions }

  /** Reserves a slot for a new session. It counts for the owner and the connection. Returns false, and counts a refusal, if a limit is reached. */
  reserve (owner: string | null, connection: ConnectionUse | null): boolean {
    if (this.isFull) {
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

  /** Whether a connection may carry the stream of one more session. Counts a refusal. */
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

  /** Notes that the session's stream is on that connection now. */
  moved (session: Session, connection: ConnectionUse | null): void {
    if (session.connection === connection) return
    if (session.connection !== null) session.connection.sessions--
    if (connection !== null) connection.sessions++
    session.connection = connection
  }

  /** Takes a place in the pool of prepared sessions. Returns false if the pool is full. */
  reserveUnclaimed (): boolean {
    if (this.#unclaimed >= this.limits.maxPending) return false
    this.#unclaimed++
    return true
  }

  releaseUnclaimed (): void {
    this.#unclaimed--
  }

  /** Puts a session into its reserved slot. */
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
   * @param claim its unused claim; null for none
   * @param forMs how long to remember it, in milliseconds
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

  /** The session posted its first event. */
  proved (session: Session): void {
    if (this.#detachedUnproven.delete(session)) this.#detachedProven.add(session)
  }

  /**
   * The session lost its stream, and waits for a reconnect. If too many wait, one is evicted. Unproven
   * sessions go before proven ones; among them, the oldest of the owner with the most.
   */
  detached (session: Session): void {
    (session.proven ? this.#detachedProven : this.#detachedUnproven).add(session)
    while (this.detachedCount > this.limits.maxDetached) {
      const oldest = this.#detachedUnproven.next(session.owner) ?? this.#detachedProven.next(session.owner)!
      this.attached(oldest)
      this.#evict(oldest)
    }
  }

  /** Whether a session of this id was closed for good lately. */
  isBuried (id: string): boolean {
    return this.#buried.has(id)
  }

  /** Whether a prepared session of this unused claim was closed for good lately. */
  isClaimBuried (claim: string): boolean {
    return this.#buriedClaims.has(claim)
  }

  get tombstoneCount (): number { return this.#buried.size }
}
