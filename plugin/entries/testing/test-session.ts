import { errorCodes, type FastifyRequest } from 'fastify'
import type { EventInput, EventSchemas, ReceivedData, TopicDefinitions, TopicInput, UpdateDefinitions } from '../../../schemas/contract.ts'
import { defaults } from '../../../schemas/defaults.ts'
import { ArgumentError, SessionClosedError, SessionMovedError, UnavailableError } from '../../../schemas/errors.ts'
import { outcomeUpdate, subscribeEvent, unsubscribeEvent } from '../../../schemas/topic-events.ts'
import type { TopicOutcome } from '../../../schemas/topic-outcome.ts'
import type { Verdict } from '../../../schemas/verdict.ts'
import { checkConfig } from '../../app/options.ts'
import { isThenable } from '../../commands/command-channel.ts'
import type { Subscription } from '../../contract/subscription-reader.ts'
import type { AnyStatefulConfig, StatefulConfig } from '../../routes/stateful-config.ts'
import { Acceptance } from '../../sessions/acceptance.ts'
import type { Handler, Session } from '../../sessions/api.ts'
import { nextArrival } from '../../sessions/opening.ts'
import type { TetherSession } from '../../sessions/session.ts'
import type { RestoreFrom, SessionSnapshot } from '../../sessions/snapshot.ts'
import { FrameStream } from '../../streams/frame-stream.ts'
import type { DisconnectReason } from '../../streams/stream.ts'
import { parseBody } from './body.ts'
import { NullCarrier } from './null-carrier.ts'
import { readFrame } from './read-frame.ts'
import { Run } from './run.ts'
import { TestEndpoint, type TestTab } from './test-endpoint.ts'

/** Parts of a request, as the hooks of the session get it. */
export type TestRequest = Partial<FastifyRequest>

/** Options of {@link testSession}. */
export interface TestSessionOptions<State> {
  /** The session's state. Default: what `initialState` of the configuration gives, for `request`. */
  state?: State
  /** What `initialState` and `onConnect` get as the request. Default: a GET of `/` from 127.0.0.1 without headers of its own. */
  request?: TestRequest
}

/** An update that the session sent, as its client gets it. */
export type SentUpdate<Updates extends UpdateDefinitions> = {
  [Name in keyof Updates & string]: { name: Name, data: ReceivedData<Updates[Name]> }
}[keyof Updates & string]

/** Posts an event of the contract. The data may be left out where `{}` would do. */
export type Dispatch<Events extends EventSchemas> = <Name extends keyof Events & string>(name: Name, ...data: {} extends EventInput<Events[Name]> ? [data?: EventInput<Events[Name]>] : [data: EventInput<Events[Name]>]) => Promise<unknown>

/** Subscribes to a topic of the contract, or ends that. The parameters may be left out where `{}` would do. */
export type TopicCall<Topics extends TopicDefinitions, Result> = <Name extends keyof Topics & string>(topic: Name, ...params: {} extends TopicInput<Topics[Name]> ? [params?: TopicInput<Topics[Name]>] : [params: TopicInput<Topics[Name]>]) => Promise<Result>

/** Where a session is before it goes on: see {@link RestoreFrom}. */
export interface MoveOptions {
  /** `'moved'`: in the memory of another node; `'frozen'`: in the engine; `'crashed'`: on a node that is dead. Default `'moved'`. */
  from?: RestoreFrom
}

/** What a handler or hook threw. */
export interface ReportedError {
  readonly error: unknown
  /** Name of the event or hook, or `update`. */
  readonly command: string
}

/** A session without a port, and its client's side. */
export interface TestSession<Events extends EventSchemas, Updates extends UpdateDefinitions, State, Topics extends TopicDefinitions = {}> {
  /** The session that handlers and hooks get. */
  readonly session: Session<State, Updates>
  /** The handler that `stateful` would return. */
  readonly live: Handler<State, Updates, Topics>
  /**
   * Posts an event to the session, as its client would.
   *
   * @returns a promise that resolves, when the handler has run, with what the handler returned. It rejects with what the
   * handler threw; with `FST_ERR_TETHER_HANDLER_TIMEOUT`; with the error that answers a POST on the wire, before the
   * handler runs; or with `FST_ERR_TETHER_SESSION_CLOSED`. A rejection that nobody handles is no uncaught error.
   */
  readonly dispatch: Dispatch<Events>
  /**
   * Subscribes to a topic, as the page would. The promise resolves, when `authorize` has decided and the retained values are in
   * `sent`, with the outcome: `ok`, or `code` and `message` of the refusal. It rejects as `dispatch` does.
   */
  readonly subscribe: TopicCall<Topics, TopicOutcome>
  /** Ends a subscription. The promise resolves when that has happened, and rejects as `dispatch` does. */
  readonly unsubscribe: TopicCall<Topics, void>
  /**
   * Every update of the session so far, in order: by `send`, by `broadcast`, and to its groups. Of updates that a slow
   * client would get conflated, it has each. A test may empty the list.
   */
  readonly sent: Array<SentUpdate<Updates>>
  /** What handlers and hooks threw so far, in order: all that `onError` gets. A test may empty the list. */
  readonly errors: ReportedError[]
  /**
   * Opens a stream, and runs `onConnect`. If the session has a stream, the new one replaces it.
   *
   * @param verdict default `'new'`. With `'resumed'` the client has every update that was written; `'gap'` takes its place
   * where the session no longer holds the next one.
   * @param request what `onConnect` gets as the request; default: that of `testSession`
   * @returns a promise that resolves, when `onConnect` has run, with the verdict. It rejects with what `onConnect` threw, and
   * with `FST_ERR_TETHER_SESSION_CLOSED`.
   */
  readonly connect: (verdict?: Verdict, request?: TestRequest) => Promise<Verdict>
  /**
   * Ends the stream, and runs `onDisconnect`. Without a stream it does nothing.
   *
   * @param reason default `'client'`
   * @returns a promise that resolves when `onDisconnect` has run. It rejects with what `onDisconnect` threw.
   */
  readonly disconnect: (reason?: DisconnectReason) => Promise<void>
  /**
   * Moves the time of the session, which stands still otherwise: `handlerTimeoutMs`, heartbeats, `reconnectMs`, `idleMs`,
   * `maxLifetimeMs`, `replayAgeMs`, `minIntervalMs`. Timers of the application are none of its business.
   *
   * @param ms milliseconds, from 0
   * @returns a promise that resolves when all that came due was done, one after the other.
   * @throws `FST_ERR_TETHER_ARGUMENT`, as a rejection, for another value
   */
  readonly advance: (ms: number) => Promise<void>
  /**
   * Moves the session as a cluster does: commands that wait run, the stream ends, `onDisconnect(…, 'moved')` and `onFreeze` run, and
   * the state goes through `serialize`, JSON and `deserialize`. The session object is dead then.
   *
   * @returns a promise that resolves, when `onRestore` has run, with the session at its next node; `connect('resumed')` opens its stream, with
   * `restored` for `onConnect`. It rejects with what `onRestore`, `serialize` or `deserialize` threw, with
   * `FST_ERR_TETHER_SESSION_CLOSED`, with `FST_ERR_TETHER_UNAVAILABLE` if a handler ran for 5 real seconds, and with `FST_ERR_TETHER_ARGUMENT`
   * where `persist` is `'never'`.
   */
  readonly move: (options?: MoveOptions) => Promise<TestSession<Events, Updates, State, Topics>>
  /** Makes another session of the same handler, such as another member of a group. It has the same time. */
  readonly other: (options?: TestSessionOptions<State>) => TestSession<Events, Updates, State, Topics>
}

/**
 * Makes a session for a test of its handlers: without a server, without a port, without waiting. The session is the real
 * one. It has no stream until `connect` opens one.
 *
 * What belongs to requests is not run: `bind`, Fastify's hooks, the check of the origin. For these, use `connectInjected`.
 *
 * @param config the configuration for `app.tether.stateful`
 * @throws the errors of `stateful` for a configuration that cannot work, and what `initialState` throws. If `initialState`
 * returns a promise, `connect` and `dispatch` wait for it.
 * @example
 * const { dispatch, sent } = testSession(config, { state: { name: 'Ada' } })
 * await dispatch('say', { text: 'hello' })
 * assert.deepEqual(sent, [{ name: 'said', data: { from: 'Ada', text: 'hello' } }])
 * @see docs/testing.md
 */
export function testSession<Events extends EventSchemas, Updates extends UpdateDefinitions, State = undefined, Topics extends TopicDefinitions = {}> (
  config: StatefulConfig<Events, Updates, State, Topics>,
  options: TestSessionOptions<State> = {}
): TestSession<Events, Updates, State, Topics> {
  const checked = config as unknown as AnyStatefulConfig
  checkConfig('', '/', checked)
  return open(new TestEndpoint(checked), options) as unknown as TestSession<Events, Updates, State, Topics>
}

type AnyTestSession = TestSession<any, any, any, any>

function open (endpoint: TestEndpoint, options: TestSessionOptions<unknown>): AnyTestSession {
  return view(endpoint, Tab.open(endpoint, options))
}

function view (endpoint: TestEndpoint, tab: Tab): AnyTestSession {
  return Object.freeze({
    session: tab.session as Session<any, any>,
    live: endpoint.live as Handler<any, any, any>,
    sent: tab.sent as AnyTestSession['sent'],
    errors: tab.errors,
    dispatch: ((name: string, data?: unknown) => quiet(tab.dispatch(name, data))) as AnyTestSession['dispatch'],
    subscribe: (topic: string, params: object = {}) => quiet(tab.dispatch(subscribeEvent, { topic, params }) as Promise<TopicOutcome>),
    unsubscribe: (topic: string, params: object = {}) => quiet(tab.dispatch(unsubscribeEvent, { topic, params }).then(() => {})),
    move: (options?: MoveOptions) => quiet(tab.move(options).then((moved) => view(endpoint, moved))),
    connect: (verdict?: Verdict, request?: TestRequest) => quiet(tab.connect(verdict, request)),
    disconnect: (reason?: DisconnectReason) => quiet(tab.disconnect(reason)),
    advance: (ms: number) => endpoint.advance(ms),
    other: (options: TestSessionOptions<unknown> = {}) => open(endpoint, options)
  })
}

/** A promise whose rejection may be ignored: a test may look at it later, and `errors` has it. */
function quiet<Value> (promise: Promise<Value>): Promise<Value> {
  promise.catch(() => {})
  return promise
}

/** A client of the endpoint, with its session. */
class Tab implements TestTab {
  session!: TetherSession
  readonly sent: Array<{ name: string, data: unknown }> = []
  readonly errors: ReportedError[] = []
  readonly #endpoint: TestEndpoint
  readonly #acceptance: Acceptance
  readonly #request: FastifyRequest
  /** Pending while `initialState` is. */
  #ready: Promise<void> | null = null
  /** Number of the last update that was written to the stream before this one. */
  #received = 0
  /** Events and hooks that were caused here and have not begun, in order. */
  readonly #waiting: Run[] = []
  /** Those that run. */
  readonly #running = new Set<Run>()
  #hasMoved = false
  /** Subscriptions that a test waits for. */
  readonly #subscribing = new Map<Subscription, Run>()

  private constructor (endpoint: TestEndpoint, request: FastifyRequest) {
    this.#endpoint = endpoint
    this.#acceptance = new Acceptance(endpoint.endpoint)
    this.#request = request
  }

  /** A tab with a new session. */
  static open (endpoint: TestEndpoint, options: TestSessionOptions<unknown>): Tab {
    const tab = new Tab(endpoint, requestOf(options.request))
    const state: unknown = 'state' in options ? options.state : endpoint.initialState(tab.#request)
    const isPending = !('state' in options) && isThenable(state)
    tab.#take(endpoint.admit(tab, isPending ? undefined : state))
    tab.#ready = isPending ? tab.#awaitState(state) : null
    tab.#ready?.catch(() => {})
    return tab
  }

  #take (session: TetherSession): void {
    this.session = session
    const { outbox, feed } = session
    const { contract } = this.#endpoint.endpoint
    const append = outbox.append.bind(outbox)
    outbox.append = (frame) => {
      this.sent.push(readFrame(frame.text, contract))
      return append(frame)
    }
    const onGone = feed.onGone.bind(feed)
    feed.onGone = (reason) => {
      this.#received = feed.lastWritten
      onGone(reason)
    }
    session.whenClosed().then(() => {
      for (const run of [...this.#waiting.splice(0), ...this.#running, ...this.#subscribing.values()]) run.fail(new SessionClosedError())
    })
  }

  /** Takes the session to its next node, and gives the tab that it has there. */
  async move ({ from = 'moved' }: MoveOptions = {}): Promise<Tab> {
    if (this.#ready !== null) await this.#ready
    const endpoint = this.#endpoint
    if (endpoint.endpoint.limits.persist === 'never') throw new ArgumentError('a session does not move where persist is "never"')
    const { session } = this
    if (!session.isOpen) throw new SessionClosedError()
    const wasConnected = session.connected
    const snapshot: SessionSnapshot | null = await session.freeze(from === 'frozen' ? 'draining' : 'moved', { deadlineMs: defaults.cluster.handoverMs })
    if (snapshot === null) throw session.isOpen ? new UnavailableError() : new SessionClosedError()
    this.#hasMoved = true
    const next = new Tab(endpoint, this.#request)
    const run = next.#expect('onRestore', true)
    next.#take(await endpoint.restore(next, session.id, snapshot, from))
    next.#received = wasConnected ? next.session.feed.lastWritten : this.#received
    await run.settled
    return next
  }

  async #awaitState (state: PromiseLike<unknown>): Promise<void> {
    this.session.state = await state
  }

  async dispatch (name: string, data: unknown = {}): Promise<unknown> {
    if (this.#ready !== null) await this.#ready
    // Its next tab has a session with the same id.
    if (this.#hasMoved) throw new SessionMovedError()
    const text = JSON.stringify({ event: name, data })
    const bytes = Buffer.byteLength(text)
    if (bytes > this.#endpoint.maxEventBytes) throw new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE()
    const body = parseBody(text)
    const run = this.#expect(name, false)
    // Whoever waits for the reply to a request needs no number.
    const parts = this.#endpoint.endpoint.contract.isRequest(name) ? { event: name, body: (body as { data: unknown }).data, waiter: () => {} } : { event: null, body }
    const outcome = await this.#acceptance.acceptFor(this.session.id, this.#request, { ...parts, isForm: false, bytes, sender: null, lastEventId: undefined })
    if (outcome.isAccepted) return run.settled
    this.#waiting.splice(this.#waiting.indexOf(run), 1)
    throw outcome.error
  }

  async connect (verdict: Verdict = 'new', request?: TestRequest): Promise<Verdict> {
    if (this.#ready !== null) await this.#ready
    const { session } = this
    if (!session.isOpen) throw new SessionClosedError()
    const { context, runtime } = this.#endpoint.endpoint
    const stream = new FrameStream(new NullCarrier(this.#endpoint.protocol, runtime.limits.writeBytes), this.#endpoint.streamOptions, runtime, '', this.#endpoint.log)
    const received = session.connected ? session.feed.lastWritten : this.#received
    const attached = session.attach(stream, verdict, received, true, nextArrival())!
    const run = this.#expect('onConnect', true)
    session.queueHook('onConnect', { ...context, request: request === undefined ? this.#request : requestOf(request), verdict: attached, protocol: stream.protocol, restored: session.takeRestored() })
    const { topics } = this.#endpoint.endpoint
    if (attached === 'gap') topics?.refresh(session)
    else if (attached !== 'resumed') topics?.subscribeByUrl(session, (request ?? this.#request).query)
    await run.settled
    return attached
  }

  async disconnect (reason: DisconnectReason = 'client'): Promise<void> {
    const { stream } = this.session
    if (stream === null) return
    const run = this.#expect('onDisconnect', true)
    stream.destroy(reason)
    await run.settled
  }

  #expect (name: string, isHook: boolean): Run {
    const run = new Run(name, isHook)
    this.#waiting.push(run)
    return run
  }

  // Reports of the endpoint

  subscribing (subscription: Subscription): void {
    const index = this.#waiting.findIndex(({ name }) => name === subscribeEvent)
    if (index !== -1) this.#subscribing.set(subscription, this.#waiting.splice(index, 1)[0]!)
  }

  subscribed (subscription: Subscription): void {
    const run = this.#subscribing.get(subscription)
    this.#subscribing.delete(subscription)
    const outcome = this.sent.at(-1)
    if (this.session.isOpen && outcome?.name === outcomeUpdate) run?.call(() => outcome.data)
    else run?.fail(new SessionClosedError())
  }

  call (name: string, isHook: boolean, handle: () => unknown): unknown {
    const index = this.#waiting.findIndex((run) => run.name === name && run.isHook === isHook)
    // Nobody waits for a hook that the library caused by itself.
    if (index === -1) return handle()
    const [run] = this.#waiting.splice(index, 1) as [Run]
    this.#running.add(run)
    run.settled.catch(() => {}).then(() => this.#running.delete(run))
    return run.call(handle)
  }

  report (error: unknown, command: string): void {
    this.errors.push({ error, command })
    if ((error as { code?: unknown } | null)?.code !== 'FST_ERR_TETHER_HANDLER_TIMEOUT') return
    for (const run of this.#running) if (run.name === command) run.fail(error)
  }
}

function requestOf (given: TestRequest = {}): FastifyRequest {
  return { method: 'GET', url: '/', originalUrl: '/', headers: {}, query: {}, params: {}, body: undefined, ip: '127.0.0.1', hostname: 'localhost', host: 'localhost', protocol: 'http', id: 'test', ...given } as unknown as FastifyRequest
}
