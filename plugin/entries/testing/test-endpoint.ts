import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import { ArgumentError } from '../../../schemas/errors.ts'
import { subscribeEvent, unsubscribeEvent } from '../../../schemas/topic-events.ts'
import { resolvePluginOptions, resolveSessionOptions, resolveUpgradeOptions, topicKinds } from '../../app/options.ts'
import type { Protocol } from '../../carriers/carrier.ts'
import type { Subscription } from '../../contract/subscription-reader.ts'
import { CompiledContract } from '../../contract/compiled-contract.ts'
import type { AnyStatefulConfig } from '../../routes/stateful-config.ts'
import type { Handler } from '../../sessions/api.ts'
import { Endpoint } from '../../sessions/endpoint.ts'
import type { EventHandler } from '../../sessions/session-inbox.ts'
import { decodeSnapshot, encodeSnapshot, type RestoreFrom, type SessionSnapshot } from '../../sessions/snapshot.ts'
import { SessionRegistry } from '../../sessions/session-registry.ts'
import type { TetherSession } from '../../sessions/session.ts'
import { createRuntime } from '../../streams/runtime.ts'
import { eventStreamOptions, type StreamOptions } from '../../streams/transport.ts'
import { Topics } from '../../topics/topics.ts'
import { webSocketOptions } from '../../websocket/websocket-upgrade.ts'
import { ManualTime } from './manual-time.ts'
import { nextTurn } from './run.ts'

/** A client of the endpoint. It sees all runs of its session's handlers. */
export interface TestTab {
  /** Runs a handler, or a hook, and gives what that gives. */
  call: (name: string, isHook: boolean, handle: () => unknown) => unknown
  /** A handler or hook threw. */
  report: (error: unknown, command: string) => void
  /** A subscription was accepted. */
  subscribing: (subscription: Subscription) => void
  /** Its outcome was sent, or its session has closed. */
  subscribed: (subscription: Subscription) => void
}

type Hooks = Record<string, ((...given: unknown[]) => unknown) | undefined>

/** A test may wait for these. */
const awaitedHooks = ['onConnect', 'onDisconnect', 'onRestore']
const otherHooks = ['onClose', 'onJoin', 'onLeave', 'onGap', 'onFreeze', 'onError']

const nothing = () => {}
const silent = { level: 'silent', fatal: nothing, error: nothing, warn: nothing, info: nothing, debug: nothing, trace: nothing, silent: nothing, child: () => silent } as unknown as FastifyBaseLogger

/** An endpoint of its own, without routes, whose time stands still. */
export class TestEndpoint {
  readonly endpoint: Endpoint
  readonly log = silent
  readonly protocol: Protocol
  readonly streamOptions: StreamOptions
  readonly #config: AnyStatefulConfig
  readonly #time = new ManualTime()
  readonly #tabs = new Map<unknown, TestTab>()
  #moves = Promise.resolve()

  constructor (config: AnyStatefulConfig) {
    this.#config = config
    this.protocol = config.mode === 'websocket' ? 'websocket' : 'http/1.1'
    this.streamOptions = webSocketOptions(config.upgrade) ?? eventStreamOptions(config.upgrade ?? config.fallback) ?? resolveUpgradeOptions()
    const { limits, maxBufferedBytes, maxCompressorBytes } = resolvePluginOptions({})
    const runtime = createRuntime(maxBufferedBytes, maxCompressorBytes, undefined, this.#time)
    const contract = CompiledContract.of(config.contract)
    const kinds = topicKinds(contract, config)
    const endpoint = this.endpoint = new Endpoint({
      contract,
      limits: resolveSessionOptions(config, contract.hasRequests),
      config: this.#watchHooks(),
      // There are no requests to ask for their owners.
      bind: undefined,
      trustedOrigins: new Set(),
      runtime,
      registry: new SessionRegistry<TetherSession>(limits, runtime.limits.tombstones, nothing, this.#time),
      topics: kinds.size === 0 ? null : (self) => this.#watchTopics(new Topics(self, kinds)),
      log: silent
    })
    this.#watchHandlers()
    const report = endpoint.report.bind(endpoint)
    endpoint.report = (session, error, command) => {
      this.#tabs.get(session)?.report(error, command)
      report(session, error, command)
    }
    // A broadcast takes its place in each session at once, so that a test need not wait for it.
    endpoint.cohorts.settle = nothing
    const { broadcasts } = runtime
    const push = broadcasts.push.bind(broadcasts)
    broadcasts.push = (...given) => {
      push(...given)
      for (const session of [...endpoint.sessions.values()]) session.catchUp()
    }
  }

  get live (): Handler { return this.endpoint.context.live }
  get maxEventBytes (): number { return this.endpoint.limits.maxEventBytes }

  /** What `initialState` gives for a request. */
  initialState (request: FastifyRequest): unknown {
    return this.#config.initialState?.(request)
  }

  /** Makes the session of a tab. */
  admit (tab: TestTab, state: unknown): TetherSession {
    const { endpoint } = this
    endpoint.registry.reserve(null, null)
    const session = endpoint.admit(state, { boundTo: null, owner: null, connection: null }, false)
    this.#tabs.set(session, tab)
    return session
  }

  /** Makes a session again from the snapshot of one that has left. It is the tab's from its first moment on. */
  async restore (tab: TestTab, id: string, snapshot: SessionSnapshot, from: RestoreFrom): Promise<TetherSession> {
    const { endpoint } = this
    const { registry } = endpoint
    registry.reserve(null, null)
    const { add } = registry
    registry.add = (session) => {
      this.#tabs.set(session, tab)
      add.call(registry, session)
    }
    try {
      return await endpoint.restore(id, decodeSnapshot(encodeSnapshot(snapshot)), { from, deadlineMs: 0 })
    } catch (error) {
      registry.release(null, null)
      throw error
    } finally {
      registry.add = add
    }
  }

  /** Moves the time by `ms`, to one deadline after the other. Another call waits for this one. */
  async advance (ms: number): Promise<void> {
    if (!(Number.isFinite(ms) && ms >= 0)) throw new ArgumentError(`advance() takes milliseconds from 0, got ${String(ms)}`)
    const moved = this.#moves.then(async () => {
      // Handlers of events that were just dispatched begin before the time moves.
      await nextTurn()
      const until = this.#time.now() + ms
      while (this.#time.step(until)) await nextTurn()
      await nextTurn()
    })
    this.#moves = moved
    await moved
  }

  #call (session: unknown, name: string, isHook: boolean, handle: () => unknown): unknown {
    const tab = this.#tabs.get(session)
    return tab === undefined ? handle() : tab.call(name, isHook, handle)
  }

  #watchTopics (topics: Topics): Topics {
    const conclude = topics.conclude.bind(topics)
    topics.conclude = (session, subscription, refusal) => {
      const sent = conclude(session, subscription, refusal)
      this.#tabs.get(session)?.subscribed(subscription)
      return sent
    }
    const unsubscribe = topics.unsubscribe.bind(topics)
    topics.unsubscribe = (session, name) => { this.#call(session, unsubscribeEvent, false, () => unsubscribe(session, name)) }
    return topics
  }

  #watchHooks (): AnyStatefulConfig {
    const config = this.#config as unknown as Hooks
    const watched: Hooks = Object.create(config)
    for (const name of [...awaitedHooks, ...otherHooks]) {
      const hook = config[name]
      if (hook === undefined && !awaitedHooks.includes(name)) continue
      watched[name] = (session, ...given) => this.#call(session, name, true, () => hook?.call(config, session, ...given))
    }
    return watched as unknown as AnyStatefulConfig
  }

  #watchHandlers (): void {
    const call = this.#call.bind(this)
    const handlers = this.endpoint.handlers as Map<string, EventHandler>
    for (const [name, handler] of handlers) {
      const { handle } = handler
      const watched = function (this: unknown, ...given: unknown[]): unknown {
        return call(given[0], name, false, () => handle.apply(this, given))
      }
      const { toCommand } = handler
      const command: EventHandler['toCommand'] = (session, data) => {
        if (name === subscribeEvent) this.#tabs.get(session)?.subscribing(data as Subscription)
        return toCommand!(session, data)
      }
      handlers.set(name, { ...handler, handle: watched, ...toCommand === undefined ? {} : { toCommand: command } })
    }
  }
}
