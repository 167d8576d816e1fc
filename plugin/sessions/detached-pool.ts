/** A session with an owner; null for no owner. */
export interface Owned {
  readonly owner: string | null
}

/**
 * Sessions without a stream. Those of one owner are in the order of the loss.
 *
 * The owner with the most sessions loses its oldest first, so that one client with many
 * sessions pays for itself. A session without an owner counts as an owner's only one.
 * Every operation takes constant time.
 */
export class DetachedPool<Session extends Owned> {
  readonly #byOwner = new Map<unknown, Set<Session>>()
  /** Owners by their number of sessions. Each set keeps the order in which its owners reached that number. */
  readonly #levels: Array<Set<unknown>> = [new Set()]
  #size = 0

  get size (): number { return this.#size }
  /** Number of owners with a session here. */
  get owners (): number { return this.#byOwner.size }

  add (session: Session): void {
    const key = keyOf(session)
    let sessions = this.#byOwner.get(key)
    if (sessions === undefined) this.#byOwner.set(key, sessions = new Set())
    else if (sessions.has(session)) return
    this.#leave(key, sessions.size)
    sessions.add(session)
    this.#enter(key, sessions.size)
    this.#size++
  }

  /** Removes a session. Returns false if it was not there. */
  delete (session: Session): boolean {
    const key = keyOf(session)
    const sessions = this.#byOwner.get(key)
    if (sessions === undefined || !sessions.has(session)) return false
    this.#leave(key, sessions.size)
    sessions.delete(session)
    if (sessions.size === 0) this.#byOwner.delete(key)
    else this.#enter(key, sessions.size)
    this.#size--
    return true
  }

  /**
   * The next session to close; undefined if the pool is empty.
   *
   * @param owner the owner preferred among several with the most
   */
  next (owner: string | null): Session | undefined {
    const most = this.#levels.at(-1)!
    const key = owner !== null && most.has(owner) ? owner : most.values().next().value
    return key === undefined ? undefined : this.#byOwner.get(key)!.values().next().value
  }

  #enter (key: unknown, level: number): void {
    while (this.#levels.length <= level) this.#levels.push(new Set())
    this.#levels[level]!.add(key)
  }

  #leave (key: unknown, level: number): void {
    this.#levels[level]!.delete(key)
    while (this.#levels.length > 1 && this.#levels.at(-1)!.size === 0) this.#levels.pop()
  }
}

function keyOf (session: Owned): unknown {
  return session.owner ?? session
}
