import { protocolCounts } from '../carriers/carrier.ts'
import type { Audience } from '../delivery/audience.ts'
import type { AnyRequest } from '../streams/transport.ts'
import type { Group, Handler, HandlerStats, Session } from './api.ts'
import type { Groups } from './groups.ts'
import type { TetherSession } from './session.ts'

/** The part of an endpoint that its handler shows. */
interface HandlerSource {
  readonly groups: Groups
  readonly sessions: ReadonlyMap<string, TetherSession>
  readonly claims: ReadonlyMap<string, TetherSession>
  readonly everyone: Audience<TetherSession>
  prepare: (request: AnyRequest) => Promise<string | null>
}

/** The application's view of a `stateful` URL. */
export class LiveHandler implements Handler {
  readonly #endpoint: HandlerSource

  constructor (endpoint: HandlerSource) {
    this.#endpoint = endpoint
  }

  broadcast (name: string, data: unknown): number {
    return this.#endpoint.groups.broadcast(this.#endpoint.everyone, name, data, null)
  }

  group (name: string): Group {
    return this.#endpoint.groups.group(name)
  }

  get sessions (): Iterable<Session> {
    return this.#endpoint.everyone.members
  }

  get (id: string): Session | undefined {
    const session = this.#endpoint.sessions.get(id) ?? this.#endpoint.claims.get(id)
    return session?.isOpen === true ? session : undefined
  }

  prepare (request: AnyRequest): Promise<string | null> {
    return this.#endpoint.prepare(request)
  }

  get stats (): HandlerStats {
    let connected = 0
    const protocols = protocolCounts()
    for (const { stream } of this.#endpoint.everyone.members) {
      if (stream === null) continue
      connected++
      protocols[stream.protocol]++
    }
    return { sessions: this.#endpoint.sessions.size, connected, protocols, groups: this.#endpoint.groups.size }
  }
}
