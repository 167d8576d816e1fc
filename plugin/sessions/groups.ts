import { ArgumentError } from '../../schemas/errors.ts'
import { checkNames } from '../../schemas/suggestion.ts'
import { Audience } from '../delivery/audience.ts'
import type { FoundSession, Group, Session } from './api.ts'
import type { Finder } from './finder.ts'
import type { GroupSizes } from './group-sizes.ts'
import type { Relay } from './relay.ts'
import type { SessionScope } from './session-scope.ts'
import type { TetherSession } from './session.ts'

/** The endpoint of groups, as they see it. */
interface GroupScope extends SessionScope<TetherSession> {
  /** All its sessions that are not closing. */
  readonly everyone: Audience<TetherSession>
  /** Sizes on other nodes; null for this node alone. */
  readonly groupSizes: GroupSizes | null
  /** Finds members here, or on all nodes. */
  readonly finders: { readonly local: Finder, readonly all: Finder }
}

/** The groups of one `stateful` URL. */
export class Groups {
  readonly #scope: GroupScope
  readonly #audiences = new Map<string, Audience<TetherSession>>()

  constructor (scope: GroupScope) {
    this.#scope = scope
  }

  get size (): number { return this.#audiences.size }
  get names (): Iterable<string> { return this.#audiences.keys() }

  /** Number of members on this node. */
  sizeOf (name: string): number {
    return this.#audiences.get(name)?.size ?? 0
  }

  /** Number of members on all nodes, as last told. */
  sizeOfAll (name: string): number {
    return this.sizeOf(name) + (this.#scope.groupSizes?.othersOf(name) ?? 0)
  }

  findMembers (name: string, limit: number | undefined, isLocal: boolean): Promise<FoundSession[]> {
    const { finders } = this.#scope
    return (isLocal ? finders.local : finders.all).members(name, limit)
  }

  /** @param relay to other nodes; null for this node alone */
  group (name: string, relay: Relay | null = null): SessionGroup {
    if (typeof name !== 'string' || name === '') throw new ArgumentError('a group is named by a string that is not empty')
    return new SessionGroup(name, this, relay)
  }

  /** @throws `FST_ERR_TETHER_ARGUMENT` for a value that is no session of this handler. */
  requireOwn (session: TetherSession | null | undefined): void {
    if (session?.scope !== this.#scope) throw new ArgumentError('a group takes sessions of its own handler only')
  }

  audience (name: string): Audience<TetherSession> | undefined {
    return this.#audiences.get(name)
  }

  members (name: string): ReadonlySet<TetherSession> | undefined {
    return this.#audiences.get(name)?.members
  }

  add (name: string, session: TetherSession): boolean {
    this.requireOwn(session)
    if (!session.isOpen) return false
    let audience = this.#audiences.get(name)
    if (audience?.members.has(session) === true) return false
    if (audience === undefined) this.#audiences.set(name, audience = new Audience())
    // Earlier broadcasts are not for the new member.
    session.unsettle()
    audience.add(session)
    this.#scope.groupSizes?.changed(name)
    ;(session.groups ??= new Set()).add(name)
    session.queueHook('onJoin', name, this.#scope.context)
    return true
  }

  /** Makes a session a member again that was one at another node. No hook runs. */
  readd (name: string, session: TetherSession): void {
    let audience = this.#audiences.get(name)
    if (audience === undefined) this.#audiences.set(name, audience = new Audience())
    audience.add(session)
    this.#scope.groupSizes?.changed(name)
    ;(session.groups ??= new Set()).add(name)
  }

  delete (name: string, session: TetherSession): boolean {
    const audience = this.#audiences.get(name)
    if (audience?.members.has(session) !== true) return false
    // Earlier broadcasts are still for the leaving member.
    session.unsettle()
    audience.delete(session)
    if (audience.size === 0) this.#audiences.delete(name)
    this.#scope.groupSizes?.changed(name)
    session.groups?.delete(name)
    session.queueHook('onLeave', name, this.#scope.context)
    return true
  }

  /** Removes a session from all groups. */
  forget (session: TetherSession): void {
    if (session.groups === null) return
    for (const name of [...session.groups]) this.delete(name, session)
    session.groups = null
  }

  /**
   * @param relay to other nodes; null for this node alone
   * @param group null for all sessions
   * @returns the receivers on this node
   */
  broadcast (relay: Relay | null, group: string | null, name: string, data: unknown, except: TetherSession | null): number {
    const frame = this.#scope.contract.encode(name, data)
    const audience: Audience<TetherSession> | undefined = group === null ? this.#scope.everyone : this.#audiences.get(group)
    let count = 0
    if (audience !== undefined) count = except !== null && audience.members.has(except) ? audience.size - 1 : audience.size
    if (relay !== null) relay.publish(group, frame, except)
    else if (count > 0) this.#scope.runtime.broadcasts.push(audience!, except, frame)
    return count
  }
}

/** The application's view of a group: a name, looked up at each use. */
export class SessionGroup implements Group {
  readonly name: string
  readonly #groups: Groups
  readonly #relay: Relay | null

  constructor (name: string, groups: Groups, relay: Relay | null) {
    this.name = name
    this.#groups = groups
    this.#relay = relay
  }

  get local (): Group {
    return this.#relay === null ? this : new SessionGroup(this.name, this.#groups, null)
  }

  get size (): number { return this.#relay === null ? this.#groups.sizeOf(this.name) : this.#groups.sizeOfAll(this.name) }

  async members (options: { limit?: number | undefined } = {}): Promise<FoundSession[]> {
    checkNames(options, ['limit'], 'members()')
    return await this.#groups.findMembers(this.name, options.limit, this.#relay === null)
  }

  add (session: Session): boolean {
    return this.#groups.add(this.name, session as TetherSession)
  }

  delete (session: Session): boolean {
    return this.#groups.delete(this.name, session as TetherSession)
  }

  has (session: Session): boolean {
    return this.#groups.members(this.name)?.has(session as TetherSession) === true
  }

  broadcast (name: string, data: unknown): number {
    return this.#groups.broadcast(this.#relay, this.name, name, data, null)
  }

  broadcastExcept (session: Session, name: string, data: unknown): number {
    this.#groups.requireOwn(session as TetherSession)
    return this.#groups.broadcast(this.#relay, this.name, name, data, session as TetherSession)
  }

  [Symbol.iterator] (): Iterator<Session> {
    return (this.#groups.members(this.name) ?? new Set<TetherSession>()).values()
  }
}
