import type { TetherSession } from './session.ts'

/** The sessions of one endpoint by their owner and by their ref. Each index is made at its first look-up, and kept from then on. */
export class SessionIndex {
  readonly #sessions: ReadonlyMap<string, TetherSession>
  #byOwner: Map<string, Set<TetherSession>> | null = null
  #byRef: Map<string, TetherSession> | null = null

  /** @param sessions all of them, by id */
  constructor (sessions: ReadonlyMap<string, TetherSession>) {
    this.#sessions = sessions
  }

  add (session: TetherSession): void {
    if (this.#byOwner !== null) addToOwner(this.#byOwner, session)
    this.#byRef?.set(session.ref, session)
  }

  delete (session: TetherSession): void {
    const { boundTo } = session
    const ofOwner = boundTo === null ? undefined : this.#byOwner?.get(boundTo)
    if (ofOwner?.delete(session) === true && ofOwner.size === 0) this.#byOwner!.delete(boundTo!)
    this.#byRef?.delete(session.ref)
  }

  /** The open sessions of an owner, by `bind`. */
  ofOwner (owner: string): TetherSession[] {
    if (this.#byOwner === null) {
      this.#byOwner = new Map()
      for (const session of this.#sessions.values()) addToOwner(this.#byOwner, session)
    }
    return Array.from(this.#byOwner.get(owner) ?? []).filter(({ isOpen }) => isOpen)
  }

  /** The session of a ref, open or closing. */
  ofRef (ref: string): TetherSession | undefined {
    if (this.#byRef === null) this.#byRef = new Map(Array.from(this.#sessions.values(), (session) => [session.ref, session]))
    return this.#byRef.get(ref)
  }
}

function addToOwner (owners: Map<string, Set<TetherSession>>, session: TetherSession): void {
  const { boundTo } = session
  if (boundTo === null) return
  const sessions = owners.get(boundTo)
  if (sessions === undefined) owners.set(boundTo, new Set([session]))
  else sessions.add(session)
}
