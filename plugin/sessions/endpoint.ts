import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { UpdateDefinitions } from '../../schemas/contract.ts'
import { ArgumentError } from '../../schemas/errors.ts'
import { logThrown, presentable } from '../../schemas/thrown.ts'
import { isSyncCallback } from '../commands/sync-callback.ts'
import type { CompiledContract } from '../contract/compiled-contract.ts'
import { Audience } from '../delivery/audience.ts'
import type { EventTimes } from '../metrics/event-times.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { Applicant } from './applicant.ts'
import { Cohorts } from './cohorts.ts'
import type { AccessOptions, AnySessionConfig, HandlerContext, SessionOptions } from './config.ts'
import { Groups } from './groups.ts'
import { LiveHandler } from './live-handler.ts'
import { Relay, type BroadcastLog } from './relay.ts'
import { createSessionId, shortSessionId } from './session-id.ts'
import type { EventHandler } from './session-inbox.ts'
import { ownerOf, type ConnectionUse, type SessionRegistry } from './session-registry.ts'
import type { SessionScope } from './session-scope.ts'
import { TetherSession } from './session.ts'

type Bind = NonNullable<AccessOptions['bind']>

export interface EndpointParts {
  readonly contract: CompiledContract
  readonly limits: Readonly<Required<SessionOptions>>
  readonly config: AnySessionConfig
  readonly bind: Bind | undefined
  readonly trustedOrigins: ReadonlySet<string>
  readonly runtime: Runtime
  readonly registry: SessionRegistry<TetherSession>
  readonly log: FastifyBaseLogger
  /** The log that joins it to other nodes; null for none. */
  readonly cluster?: BroadcastLog | null
  /** Its full URL pattern, by which other nodes know it. */
  readonly url?: string
  /** Measures the events; null for none. */
  readonly eventTimes?: EventTimes | null
}

/** One `stateful` URL: its sessions, its groups and its configuration. */
export class Endpoint implements SessionScope<TetherSession> {
  readonly contract: CompiledContract
  readonly limits: Readonly<Required<SessionOptions>>
  readonly hooks: AnySessionConfig
  readonly handlers: ReadonlyMap<string, EventHandler>
  readonly trustedOrigins: ReadonlySet<string>
  readonly runtime: Runtime
  readonly registry: SessionRegistry<TetherSession>
  readonly groups: Groups
  readonly context: HandlerContext<unknown, UpdateDefinitions>
  readonly eventTimes: EventTimes | null
  /** Sessions by id, including those that are closing. */
  readonly sessions = new Map<string, TetherSession>()
  /** Prepared sessions by their unused claims. */
  readonly claims = new Map<string, TetherSession>()
  /** Sessions that are not closing; they receive the broadcasts to all. */
  readonly everyone = new Audience<TetherSession>()
  readonly cohorts: Cohorts
  readonly #relay: Relay | null
  readonly #bind: Bind | undefined
  readonly #log: FastifyBaseLogger

  constructor (parts: EndpointParts) {
    this.contract = parts.contract
    this.limits = parts.limits
    this.hooks = parts.config
    this.#bind = parts.bind
    this.trustedOrigins = parts.trustedOrigins
    this.runtime = parts.runtime
    this.registry = parts.registry
    this.#log = parts.log
    this.eventTimes = parts.eventTimes ?? null
    this.handlers = new Map(Object.entries(parts.config.on ?? {}).map(([name, handle]) => [name, { handle: handle as EventHandler['handle'], isSync: isSyncCallback(handle) }]))
    this.groups = new Groups(this)
    this.cohorts = new Cohorts({ ...parts.runtime, limits: parts.limits, writeBytes: parts.runtime.limits.writeBytes })
    const { cluster = null, url = '' } = parts
    this.#relay = cluster === null ? null : new Relay(url, cluster, this)
    this.context = Object.freeze({ live: new LiveHandler(this, this.#relay) })
  }

  /**
   * The owner of a request, by `bind`; null for nobody in particular. Throws what the application's `bind` throws.
   *
   * @throws `FST_ERR_TETHER_ARGUMENT` if `bind` returned another type. As text, a promise or an object would be the same for everybody.
   */
  boundTo (request: FastifyRequest): string | null {
    const owner = this.#ownerOf(request)
    if (owner === undefined || owner === null) return null
    if (typeof owner === 'string' || Number.isFinite(owner)) return String(owner)
    // Nothing else handles its rejection.
    if (owner instanceof Promise) owner.catch(() => {})
    const got = owner instanceof Promise ? 'a promise' : typeof owner === 'number' ? String(owner) : typeof owner
    throw new ArgumentError(`bind must return a string, a finite number, null or undefined; got ${got}`)
  }

  #ownerOf (request: FastifyRequest): unknown {
    try {
      return this.#bind?.(request)
    } catch (error) {
      throw presentable(error)
    }
  }

  async #stateFor (request: FastifyRequest): Promise<unknown> {
    try {
      return await this.hooks.initialState?.(request)
    } catch (error) {
      throw presentable(error)
    }
  }

  /** The client that asks for a session by a request. Throws the errors of `boundTo`. */
  applicant (request: FastifyRequest, connection: ConnectionUse | null): Applicant {
    const boundTo = this.boundTo(request)
    return { boundTo, owner: ownerOf(boundTo, request.ip), connection }
  }

  /** Makes a session in the slot that the caller reserved. Rejects with an error of `initialState`. */
  async create (request: FastifyRequest, applicant: Applicant, isPrepared: boolean): Promise<TetherSession> {
    const state = await this.#stateFor(request)
    const session = new TetherSession(this, state, applicant, isPrepared ? createSessionId() : null)
    if (session.claimCode !== null) this.claims.set(session.claimCode, session)
    this.registry.add(session)
    this.sessions.set(session.id, session)
    this.everyone.add(session)
    this.#relay?.add(session)
    return session
  }

  async prepare (request: FastifyRequest): Promise<string | null> {
    const { registry } = this
    if (this.runtime.draining) return null
    // The limit is about the stream's connection, which is not known yet.
    const applicant = this.applicant(request, null)
    if (!registry.reserveUnclaimed()) return null
    if (!registry.reserve(applicant.owner, null)) {
      registry.releaseUnclaimed()
      return null
    }
    let session: TetherSession
    try {
      session = await this.create(request, applicant, true)
    } catch (error) {
      registry.release(applicant.owner, null)
      registry.releaseUnclaimed()
      throw error
    }
    // A drain may have begun meanwhile. It would wait for a page that cannot connect any more.
    if (!this.runtime.draining) return session.claimCode
    session.destroy()
    return null
  }

  get pendingMs (): number { return this.registry.limits.pendingMs }

  unpooled (session: TetherSession): void {
    this.claims.delete(session.claimCode!)
    this.registry.releaseUnclaimed()
  }

  audiencesOf (session: TetherSession): ReadonlyArray<Audience<TetherSession>> {
    const { groups } = session
    return groups === null ? [this.everyone] : [this.everyone, ...Array.from(groups, (name) => this.groups.audience(name)!)]
  }

  attached (session: TetherSession): void {
    this.registry.attached(session)
  }

  detached (session: TetherSession): void {
    this.registry.detached(session)
  }

  proved (session: TetherSession): void {
    this.registry.proved(session)
  }

  closing (session: TetherSession): void {
    session.unsettle()
    this.everyone.delete(session)
    this.groups.forget(session)
  }

  closed (session: TetherSession): void {
    this.closing(session)
    this.sessions.delete(session.id)
    this.#relay?.delete(session)
    if (session.isClosedForGood) this.registry.bury(session.id, session.everConnected ? null : session.claimCode, this.limits.reconnectMs)
    this.registry.remove(session)
  }

  report (session: TetherSession, error: unknown, command: string): void {
    logThrown(this.#log, 'error', error, 'a handler of a tether session failed', { session: shortSessionId(session.id), command })
    const { onError } = this.hooks
    if (onError === undefined) return
    const failed = (thrown: unknown) => {
      logThrown(this.#log, 'error', thrown, 'onError of a tether session failed', { session: shortSessionId(session.id), command: 'onError' })
    }
    // If `onError` returns a promise, nothing else handles its rejection.
    new Promise((resolve) => { resolve(onError.call(this.hooks, session as never, error, { ...this.context, command } as never)) }).catch(failed)
  }
}
