import type { FastifyRequest } from 'fastify'
import type { Contract, EventData, EventSchemas, HandlerResult, TopicDefinitions, TopicParams, TopicUpdates, UpdateData, UpdateDefinitions } from '../../schemas/contract.ts'
import type { OptionsOf, optionTable } from '../../schemas/option-table.ts'
import type { Verdict } from '../../schemas/verdict.ts'
import type { Protocol } from '../carriers/carrier.ts'
import type { DisconnectReason } from '../streams/stream.ts'
import type { CloseReason, Handler, Session } from './api.ts'
import type { RestoreFrom } from './snapshot.ts'

/** The last argument of every handler and hook. */
export interface HandlerContext<State, Updates extends UpdateDefinitions, Topics extends TopicDefinitions = {}> {
  /** The handler that `stateful` returns: its groups, its topics, its sessions, `broadcast`. */
  readonly live: Handler<State, Updates, Topics>
  /**
   * In the handler of an event, with `persist: 'event'`: true if the event may have run before, on a node that has died since. What it did to
   * the state then is undone; what it did elsewhere is not. Absent otherwise.
   */
  readonly redelivered?: true
}

/** The last argument of `onConnect`. */
export interface ConnectContext<State, Updates extends UpdateDefinitions, Topics extends TopicDefinitions = {}> extends HandlerContext<State, Updates, Topics> {
  /** The GET that opened the stream. */
  readonly request: FastifyRequest
  /** On `gap`, `expired` and `new` the page needs a snapshot; on `resumed` it has everything. */
  readonly verdict: Verdict
  /** The protocol of the stream. */
  readonly protocol: Protocol
  /** In a cluster, on the first stream after `onRestore`: its `from`. Null on every other stream. */
  readonly restored: RestoreFrom | null
}

/** The last argument of `onRestore`. */
export interface RestoreContext<State, Updates extends UpdateDefinitions> extends HandlerContext<State, Updates> {
  /**
   * `'moved'`: from another node, which had the session in memory. `'frozen'`: from the engine, where the session waited. `'crashed'`:
   * from the engine, after the death of its node; what it did after its last snapshot is lost.
   */
  readonly from: RestoreFrom
}

/** The last argument of `onError`. */
export interface ErrorContext<State, Updates extends UpdateDefinitions, Topics extends TopicDefinitions = {}> extends HandlerContext<State, Updates, Topics> {
  /** Name of the event or hook that failed, `update`, or a topic's function, such as `topics.host.start`. */
  readonly command: string
}

/** Limits of a session: sizes and times. */
export interface SessionOptions extends OptionsOf<typeof optionTable.stateful> {}

/** Access to sessions. */
export interface AccessOptions {
  /** Origins, such as `https://app.example.com`, whose pages may connect and post from another site. Default none. */
  trustedOrigins?: readonly string[]
  /**
   * Returns the owner of a request, such as a user's id or a cookie. Only the owner that opened
   * a session may use it. Null or undefined means nobody in particular. If it throws, the
   * request gets that error. Default none: anyone with the id may use the session.
   */
  bind?: (request: FastifyRequest) => string | number | null | undefined
}

/** Limits of one topic. */
export interface TopicLimits extends OptionsOf<typeof optionTable.topic> {}

/** The second argument of a topic's `start`. */
export interface TopicProducer<Updates extends UpdateDefinitions> {
  /** Publishes an update of the topic, as `live.topic(…).publish` does. Once `signal` is aborted, it does nothing and returns 0. */
  publish: <Name extends keyof Updates & string>(name: Name, data: UpdateData<Updates[Name]>) => number
  /** Aborts `lingerMs` after the last subscriber has left, when `start` fails, and when the server closes. */
  readonly signal: AbortSignal
}

/** Configuration of one topic; the topic's name is its key in `topics`. */
export interface TopicConfig<Definition, State, Updates extends UpdateDefinitions> extends TopicLimits {
  /**
   * Decides whether a session may subscribe; may return a promise. False, or a throw, refuses. The client gets the code and
   * the message of an `EventError`; any other error is logged and given to `onError`, and the client gets
   * `TETHER_REFUSED`. Default: every session may.
   */
  authorize?: (session: Session<State, Updates>, params: TopicParams<Definition>) => boolean | void | Promise<boolean | void>
  /**
   * Starts to produce the topic's updates, when the first session has subscribed. If it throws or rejects, the error is
   * logged and given to `onError`, the retained values go, and it runs again with the next first subscriber. Default: none;
   * what `live.topic(…).publish` publishes is retained.
   */
  start?: (params: TopicParams<Definition>, producer: TopicProducer<TopicUpdates<Definition>>) => unknown
}

/**
 * Configuration of one `stateful` URL. Hooks work like handlers: they may return a promise,
 * they and the session's handlers run one at a time, and their errors are logged and given to `onError`.
 */
export interface SessionConfig<Events extends EventSchemas, Updates extends UpdateDefinitions, State, Topics extends TopicDefinitions = {}> extends SessionOptions, AccessOptions {
  /** The contract, made by `defineContract`. */
  contract: Contract<Events, Updates, Topics>
  /**
   * Makes the session's state, once, before the stream opens; may return a promise. If it throws
   * or rejects, the request gets that error and no session is made. Default: the state is undefined.
   */
  initialState?: (request: FastifyRequest) => State | Promise<State>
  /**
   * A handler for each event. It may return a promise; the session's next command waits for
   * that. If it throws or rejects, the error is logged and given to `onError`, and the
   * session goes on. The handler of a request returns the reply, or throws an `EventError` for its client.
   */
  on?: {
    [Name in keyof Events]: (session: Session<State, Updates>, data: EventData<Events[Name]>, context: HandlerContext<State, Updates, Topics>) => HandlerResult<Events[Name]>
  }
  /** Who may subscribe to each topic, and what produces its updates. A topic that is left out is open to every session. */
  topics?: { [Name in keyof Topics]?: TopicConfig<Topics[Name], State, Updates> }
  /** A stream opened: the session's first, or a later one. Runs before the events that follow. */
  onConnect?: (session: Session<State, Updates>, context: ConnectContext<State, Updates, Topics>) => unknown
  /** The stream is gone; the session is kept for a reconnect. Runs once for every `onConnect`. */
  onDisconnect?: (session: Session<State, Updates>, reason: DisconnectReason, context: HandlerContext<State, Updates, Topics>) => unknown
  /** The session is gone for good. Runs once, after all accepted commands, and only if the session ever had a stream. */
  onClose?: (session: Session<State, Updates>, reason: CloseReason, context: HandlerContext<State, Updates, Topics>) => unknown
  /** The session was added to a group; runs when the present handler has settled. */
  onJoin?: (session: Session<State, Updates>, group: string, context: HandlerContext<State, Updates, Topics>) => unknown
  /** The session left a group, or is closing; runs when the present handler has settled. */
  onLeave?: (session: Session<State, Updates>, group: string, context: HandlerContext<State, Updates, Topics>) => unknown
  /**
   * In a cluster, broadcasts were lost on their way to this node, and the session's stream is open: send a snapshot. The page
   * gets a `gap` before it. A page without a stream gets the verdict `gap` when it comes back.
   */
  onGap?: (session: Session<State, Updates>, context: HandlerContext<State, Updates, Topics>) => unknown
  /**
   * Gives what is kept of the state when the session leaves its node; JSON must be able to keep it. Runs with every
   * snapshot, perhaps several times for one. If it throws, the session stays on its node. Default: the state itself.
   */
  serialize?: (state: State) => unknown
  /**
   * Makes the state from what `serialize` gave on another node, perhaps in another version of the application; may return a promise. If it
   * throws or rejects, the session is lost, and its client gets a new one. Default: the data itself, of the same `stateVersion`.
   */
  deserialize?: (data: unknown, context: { readonly version: number }) => NoInfer<State> | Promise<NoInfer<State>>
  /**
   * The session leaves this node, and its stream is gone. What the hook changes in the state, or sends, moves with the
   * session. Stop what runs beside the handlers; `session.signal` has aborted with `'moved'`.
   */
  onFreeze?: (session: Session<State, Updates>, context: HandlerContext<State, Updates>) => unknown
  /** The session is on this node now, under its id. Runs before all else; start again here what runs beside the handlers. */
  onRestore?: (session: Session<State, Updates>, context: RestoreContext<State, Updates>) => unknown
  /**
   * A handler or hook of the session threw, rejected or did not settle in time. Runs at once.
   * The error is logged as well. An error of `onError` itself is only logged.
   */
  onError?: (session: Session<State, Updates>, error: unknown, context: ErrorContext<State, Updates, Topics>) => void
}

export type AnySessionConfig = SessionConfig<any, any, any, any>
