import type { Endpoint } from '../../sessions/endpoint.ts'
import type { TetherSession } from '../../sessions/session.ts'

/** Gives numbers to sessions, by which a page names them in place of their ids. Nobody can work out an id from a number. */
export class SessionKeys {
  readonly #keys = new WeakMap<TetherSession, string>()
  #last = 0

  of (session: TetherSession): string {
    let key = this.#keys.get(session)
    if (key === undefined) this.#keys.set(session, key = String(++this.#last))
    return key
  }

  /** The session of a key that was given; null if it is gone. */
  find (endpoints: readonly Endpoint[], key: string): TetherSession | null {
    for (const { sessions } of endpoints) {
      for (const session of sessions.values()) if (this.#keys.get(session) === key) return session
    }
    return null
  }
}
