import type { UpdateData, UpdateDefinitions } from '../../schemas/contract.ts'
import { protocolCounts, type Protocol } from '../carriers/carrier.ts'
import type { Group } from './groups.ts'
import type { SessionHost } from './endpoint.ts'
import type { Session } from './session.ts'
import type { AnyRequest } from '../streams/transport.ts'

/** Figures of one `stateful` URL. */
export interface HandlerStats {
  /** Sessions, those that are being closed included. */
  sessions: number
  /** Of these, with an open stream. */
  connected: number
  /** These, by what their stream travels by. */
  protocols: Record<Protocol, number>
  /** Groups that have members. */
  groups: number
}

/** What `stateful` returns. */
export interface Handler<State = unknown, Updates extends UpdateDefinitions = UpdateDefinitions> {
  /**
   * Sends an update to every session, connected or not; encoded once. It never waits
   * for one.
   *
   * @returns the number of sessions; what became of the frames is in `stats`.
   * @throws as `session.send` does; then nobody gets anything.
   */
  broadcast: <Name extends keyof Updates & string>(name: Name, data: UpdateData<Updates[Name]>) => number
  /** The group of a name, whether it has members or not. Throws a TypeError for an empty name. */
  group: (name: string) => Group<State, Updates>
  /** All open sessions, prepared ones included. */
  readonly sessions: Iterable<Session<State, Updates>>
  /** The open session of an id, or of a claim that `prepare` gave and no stream has used yet; undefined when there is none. */
  get: (id: string) => Session<State, Updates> | undefined
  /**
   * Makes a session while its page is rendered: the page opens its stream with
   * `?tether-session=<claim>`, or with the header, within `pendingMs`.
   *
   * @returns the claim to embed: good for one stream, whose hello names the session's
   * id. Null when the pool of prepared sessions, the server or the share of this client
   * is full, or while it drains. Rejects only with what `initialState` or `bind` throws.
   */
  prepare: (request: AnyRequest) => Promise<string | null>
  /** Figures as they are now. */
  readonly stats: HandlerStats
}

/** A `stateful` URL as the application holds it. */
export class SessionHandler implements Handler {
  readonly #host: SessionHost

  constructor (host: SessionHost) {
    this.#host = host
  }

  broadcast (name: string, data: unknown): number {
    return this.#host.groups.broadcast(this.#host.openSessions, name, data, null)
  }

  group (name: string): Group {
    return this.#host.groups.group(name)
  }

  get sessions (): Iterable<Session> {
    return this.#host.openSessions
  }

  get (id: string): Session | undefined {
    const session = this.#host.sessions.get(id) ?? this.#host.claims.get(id)
    return session?.isOpen === true ? session : undefined
  }

  prepare (request: AnyRequest): Promise<string | null> {
    return this.#host.prepare(request)
  }

  get stats (): HandlerStats {
    let connected = 0
    const protocols = protocolCounts()
    for (const { stream } of this.#host.openSessions) {
      if (stream === null) continue
      connected++
      protocols[stream.protocol]++
    }
    return { sessions: this.#host.sessions.size, connected, protocols, groups: this.#host.groups.size }
  }
}
