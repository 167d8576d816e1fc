/** Whose a session is; null for nobody's in particular. */
export interface Owned {
  readonly owner: string | null
}

/**
 * Sessions without a stream, those of each owner in the order in which they lost it.
 *
 * The next to go is the oldest of whoever has most of them, so that one client with
 * many pays for itself. What is nobody's stands alone: nothing is known of who else's it is.
 * Everything takes constant time.
 */
export class DetachedPool<Session extends Owned> {
  readonly #byOwner = new Map<unknown, Set<Session>>()
  /** Owners by how many they have, each set in the order in which they came to that number. */
  readonly #levels: Array<Set<unknown>> = [new Set()]
  #size = 0

  get size (): number { return this.#size }
  /** Owners that have any. */
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

  /** Returns whether it was in. */
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
   * The next to go; undefined when there is none.
   *
   * @param owner of several with the most it is this one's turn
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
