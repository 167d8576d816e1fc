import { ArgumentError, UnknownTopicError } from '../../schemas/errors.ts'
import { protocolCounts } from '../carriers/carrier.ts'
import type { Audience } from '../delivery/audience.ts'
import type { AnyRequest } from '../streams/transport.ts'
import type { CompiledContract } from '../contract/compiled-contract.ts'
import type { FoundSession, Group, Handler, HandlerStats, LiveTopic, Session, User } from './api.ts'
import type { Finder } from './finder.ts'
import type { Groups } from './groups.ts'
import type { Relay } from './relay.ts'
import type { SessionIndex } from './session-index.ts'
import type { TetherSession } from './session.ts'
import type { TopicsPart } from './topics-part.ts'

/** The part of an endpoint that its handler shows. */
interface HandlerSource {
  readonly contract: CompiledContract
  readonly index: SessionIndex
  readonly finders: { readonly local: Finder, readonly all: Finder }
  readonly groups: Groups
  readonly sessions: ReadonlyMap<string, TetherSession>
  readonly claims: ReadonlyMap<string, TetherSession>
  readonly everyone: Audience<TetherSession>
  readonly topics: TopicsPart<TetherSession> | null
  prepare: (request: AnyRequest) => Promise<string | null>
}

const noTopics = { topics: 0, subscriptions: 0, retainedValues: 0, retainedBytes: 0 }

/** The application's view of a `stateful` URL. */
export class LiveHandler implements Handler {
  readonly #endpoint: HandlerSource
  readonly #relay: Relay | null
  readonly local: Handler

  /** @param relay to other nodes; null for this node alone */
  constructor (endpoint: HandlerSource, relay: Relay | null) {
    this.#endpoint = endpoint
    this.#relay = relay
    this.local = relay === null ? this : new LiveHandler(endpoint, null)
  }

  broadcast (name: string, data: unknown): number {
    return this.#endpoint.groups.broadcast(this.#relay, null, name, data, null)
  }

  group (name: string): Group {
    return this.#endpoint.groups.group(name, this.#relay)
  }

  user (id: string | number): User {
    if (typeof id !== 'string' && !Number.isFinite(id)) throw new ArgumentError(`a user is what bind gives, a string or a finite number; got ${String(id)}`)
    return new LiveUser(String(id), this.#endpoint, this.#relay)
  }

  find (idOrRef: string): Promise<FoundSession | null> {
    const { finders } = this.#endpoint
    return (this.#relay === null ? finders.local : finders.all).find(idOrRef)
  }

  topic (name: string, params: unknown = {}): LiveTopic {
    const { topics } = this.#endpoint
    if (topics === null) throw new UnknownTopicError(String(name), ', and no other topic')
    return topics.topic(name, params, this.#relay)
  }

  get topics (): Iterable<LiveTopic> {
    return this.#endpoint.topics?.all(this.#relay) ?? []
  }

  synced (): Promise<void> {
    return this.#relay === null ? Promise.resolve() : this.#relay.synced()
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
    return { sessions: this.#endpoint.sessions.size, connected, protocols, groups: this.#endpoint.groups.size, ...this.#endpoint.topics?.figures ?? noTopics }
  }
}

/** The application's view of the sessions of one owner. */
class LiveUser implements User {
  readonly id: string
  readonly #endpoint: HandlerSource
  readonly #relay: Relay | null

  constructor (id: string, endpoint: HandlerSource, relay: Relay | null) {
    this.id = id
    this.#endpoint = endpoint
    this.#relay = relay
  }

  send (name: string, data: unknown): number {
    const { contract, index } = this.#endpoint
    const frame = contract.encode(name, data)
    const sessions = index.ofOwner(this.id)
    if (this.#relay !== null) this.#relay.publishTo('user', this.id, frame)
    else for (const session of sessions) session.sendFrame(frame)
    return sessions.length
  }
}
