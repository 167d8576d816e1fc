import { ArgumentError } from '../../schemas/errors.ts'
import { Audience } from '../delivery/audience.ts'
import type { Group, Session } from './api.ts'
import type { SessionScope } from './session-scope.ts'
import type { TetherSession } from './session.ts'

/** The groups of one `stateful` URL. */
export class Groups {
  readonly #scope: SessionScope<TetherSession>
  readonly #audiences = new Map<string, Audience<TetherSession>>()

  constructor (scope: SessionScope<TetherSession>) {
    this.#scope = scope
  }

  get size (): number { return this.#audiences.size }

  group (name: string): SessionGroup {
    if (typeof name !== 'string' || name === '') throw new ArgumentError('a group is named by a string that is not empty')
    return new SessionGroup(name, this)
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
    ;(session.groups ??= new Set()).add(name)
    session.queueHook('onJoin', name, this.#scope.context)
    return true
  }

  delete (name: string, session: TetherSession): boolean {
    const audience = this.#audiences.get(name)
    if (audience?.members.has(session) !== true) return false
    // Earlier broadcasts are still for the leaving member.
    session.unsettle()
    audience.delete(session)
    if (audience.size === 0) this.#audiences.delete(name)
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

  broadcast (audience: Audience<TetherSession> | undefined, name: string, data: unknown, except: TetherSession | null): number {
    const frame = this.#scope.contract.encode(name, data)
    if (audience === undefined) return 0
    const count = except !== null && audience.members.has(except) ? audience.size - 1 : audience.size
    if (count > 0) this.#scope.runtime.broadcasts.push(audience, except, frame)
    return count
  }
}

/** The application's view of a group: a name, looked up at each use. */
export class SessionGroup implements Group {
  readonly name: string
  readonly #groups: Groups

  constructor (name: string, groups: Groups) {
    this.name = name
    this.#groups = groups
  }

  get size (): number { return this.#groups.members(this.name)?.size ?? 0 }

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
    return this.#groups.broadcast(this.#groups.audience(this.name), name, data, null)
  }

  broadcastExcept (session: Session, name: string, data: unknown): number {
    this.#groups.requireOwn(session as TetherSession)
    return this.#groups.broadcast(this.#groups.audience(this.name), name, data, session as TetherSession)
  }

  [Symbol.iterator] (): Iterator<Session> {
    return (this.#groups.members(this.name) ?? new Set<TetherSession>()).values()
  }
}
