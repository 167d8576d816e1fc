import type { FastifyBaseLogger } from 'fastify'
import type { TopicDefinitions, TopicInput, TopicUpdates, UpdateData, UpdateDefinitions } from '../../schemas/contract.ts'
import type { Protocol } from '../carriers/carrier.ts'
import type { StreamCompression } from '../carriers/stream-compression.ts'
import type { Figures } from '../metrics/figures.ts'
import type { AnyRequest } from '../streams/transport.ts'

/** Why a session ended: one of these words, or the reason that the application gave to `close`. */
export type CloseReason =
  /** The application closed the session without a reason. */
  | 'closed'
  /** The page sent `tether.close`, and did not come back in time. */
  | 'left'
  /** The session had no stream for `reconnectMs`. */
  | 'reconnect-timeout'
  /** The session had neither a stream nor an event for `idleMs`. */
  | 'idle'
  /** The session reached the age `maxLifetimeMs`. */
  | 'lifetime'
  /** More than `maxDetached` sessions had no stream, and this one was closed to make room. */
  | 'evicted'
  /** `drain` was called. */
  | 'draining'
  /** The server is closing. */
  | 'shutdown'
  | (string & {})

/** Figures of one session: its totals so far, and its queues now. */
export interface SessionStats extends Figures {
  /** Updates not written yet. */
  queuedFrames: number
  /** Bytes of these. */
  queuedBytes: number
  /** Updates kept for a reconnect, including those not written yet. */
  heldFrames: number
  /** Bytes of these. */
  heldBytes: number
  /** Commands that wait on the command channel. */
  queuedCommands: number
  /** Whether the write buffer is full and the session's loop is stalled. */
  stalled: boolean
  /** Encoding and byte counts of the open stream; null without a stream or without compression. */
  compression: StreamCompression | null
}

/** One tab's session, as handlers and hooks see it. */
export interface Session<State = unknown, Updates extends UpdateDefinitions = UpdateDefinitions> {
  /** The session's id, 24 characters. It is a secret of the session's client. */
  readonly id: string
  /** Names the session to the application and to other nodes, 22 characters. It is no secret. See `live.find`. */
  readonly ref: string
  /** The application's own state. `initialState` makes it; handlers may change or replace it. */
  state: State
  /** Whether a stream is open now. */
  readonly connected: boolean
  /** Aborts, with the reason, as soon as the session starts to close. It is for work that goes on beside the handlers. */
  readonly signal: AbortSignal
  /** A child of the instance's logger: its lines have the field `session`, the first six characters of the id and `…`. Made at its first use. */
  readonly log: FastifyBaseLogger
  /** The current figures. Totals count from the start of the session. */
  readonly stats: SessionStats
  /**
   * Queues an update, and never blocks. All updates of one turn of the event loop leave together.
   * Without a stream, updates wait for a reconnect. `onOverflow` decides what happens beyond
   * `queueFrames` or `queueBytes`.
   *
   * @returns a promise that never rejects. It resolves to `true` when there is room for the next
   * update: at once, or when fewer than `writeBuffer` updates wait. Without a stream it is `true`
   * at once. It resolves to `false` when the session closes first.
   * @throws `FST_ERR_TETHER_SERIALIZATION` for data that the update's schema cannot serialise,
   * `FST_ERR_TETHER_UNKNOWN_UPDATE` for a name outside the contract, and any error of the key
   * function of `conflate`. Nothing is queued then.
   * @see docs/flow-control.md
   */
  send: <Name extends keyof Updates & string>(name: Name, data: UpdateData<Updates[Name]>) => Promise<boolean>
  /**
   * Queues a function on the command channel, behind the waiting commands. Within the
   * session's own handler the function runs at once, as a part of that handler.
   *
   * @returns a promise for the function's result. It rejects with the function's error (which is
   * also logged and given to `onError`), with `FST_ERR_TETHER_BUSY` when `commandBuffer` commands
   * wait, and with `FST_ERR_TETHER_SESSION_CLOSED`. The caller may ignore it.
   */
  update: <Result>(command: (session: this) => Result) => Promise<Awaited<Result>>
  /**
   * Closes the session for good. The session leaves its groups, runs accepted commands, writes
   * waiting updates and ends its stream with a goodbye. Then `onDisconnect` and `onClose` run.
   *
   * @param reason the reason for the client and for `onClose`; default `'closed'`.
   * @param options `reconnect: true` lets the browser come back for a new session. By default the
   * server answers its retries with 204, which ends them.
   * @returns a promise that never rejects. It resolves when all of this is done; within the
   * session's own handler, at once. Further calls change nothing.
   * @throws `FST_ERR_TETHER_ARGUMENT` for a reason that is no string, and for an unknown option.
   */
  close: (reason?: CloseReason, options?: { reconnect?: boolean }) => Promise<void>
}

/** A session as `live.find` finds it, on whatever node. */
export interface FoundSession<Updates extends UpdateDefinitions = UpdateDefinitions> {
  /** Names the session to the application, 22 characters. It is no secret: nobody can open the session with it. */
  readonly ref: string
  /** Name of the node that had it when it was found, as in `app.tether.cluster.nodes()`; null while the engine has it. Without a cluster `'local'`. */
  readonly node: string | null
  /** Whether its stream was open then. */
  readonly connected: boolean
  /**
   * Sends an update to the session, wherever it is by then. In a cluster it goes through the log, among the broadcasts; a session that the engine has gets it
   * when it comes back. It never blocks.
   *
   * @returns a promise that never rejects: in a cluster `true` when the update has passed the log; without one as of `session.send`
   * @throws the errors of `session.send`.
   */
  readonly send: <Name extends keyof Updates & string>(name: Name, data: UpdateData<Updates[Name]>) => Promise<boolean>
  /**
   * Closes the session, wherever it is by then, as `session.close` does. One that the engine has comes to this node for that, so that its hooks run.
   *
   * @returns a promise: `true` when the session has closed here, or has begun to close at its node; `false` if it is gone. Rejects with
   * `FST_ERR_TETHER_UNAVAILABLE` if its node, or the engine, does not answer, and with `FST_ERR_TETHER_ARGUMENT` for a reason
   * that is no string, and for an unknown option.
   */
  readonly close: (reason?: CloseReason, options?: { reconnect?: boolean }) => Promise<boolean>
}

/** All sessions of one owner. */
export interface User<Updates extends UpdateDefinitions = UpdateDefinitions> {
  /** What `bind` gives for it, as a string. */
  readonly id: string
  /**
   * Sends an update to all sessions of the owner; in a cluster on all nodes, among the broadcasts, and to those that the engine has as soon as they come
   * back. It never blocks.
   *
   * @returns the number of open sessions on this node
   * @throws the errors of `session.send`; then no session gets the update.
   */
  readonly send: <Name extends keyof Updates & string>(name: Name, data: UpdateData<Updates[Name]>) => number
}

/** A named set of sessions. It holds no memory while it has no members. */
export interface Group<State = unknown, Updates extends UpdateDefinitions = UpdateDefinitions> extends Iterable<Session<State, Updates>> {
  /** The name given to `live.group(name)`. */
  readonly name: string
  /** Number of members; in a cluster on all nodes, as these have last told. */
  readonly size: number
  /** The same group on this node alone: its broadcasts go to no other node. Without a cluster, the group itself. */
  readonly local: Group<State, Updates>
  /**
   * Adds a session and queues `onJoin`. The session stays until it is deleted or closes.
   * Returns false for a session that is a member already, or closed.
   *
   * @throws TypeError for a session of another handler.
   */
  add: (session: Session<State, Updates>) => boolean
  /** Removes a session and queues `onLeave`. Returns false for a session that is no member. */
  delete: (session: Session<State, Updates>) => boolean
  /**
   * Lists members; in a cluster on all nodes, this one's first. Sessions that the engine has are not among them.
   *
   * @param options `limit` is the most of them; default 100.
   * @returns a promise; rejects with `FST_ERR_TETHER_ARGUMENT` for a wrong limit or another option, and with `FST_ERR_TETHER_UNAVAILABLE` if a
   * node does not answer within `forwardMs`.
   */
  members: (options?: { limit?: number | undefined }) => Promise<Array<FoundSession<Updates>>>
  /** Whether a session is a member. */
  has: (session: Session<State, Updates>) => boolean
  /**
   * Sends an update, encoded once, to every member. It never blocks, and no member delays
   * another. `onOverflow` decides what happens to a member beyond its limits.
   *
   * @returns the number of members; `stats` counts the frames.
   * @throws the errors of `session.send`; then no member gets the update.
   */
  broadcast: <Name extends keyof Updates & string>(name: Name, data: UpdateData<Updates[Name]>) => number
  /** Sends an update to every member except one; otherwise the same as `broadcast`. */
  broadcastExcept: <Name extends keyof Updates & string>(session: Session<State, Updates>, name: Name, data: UpdateData<Updates[Name]>) => number
}

/** Figures of one `stateful` URL. */
export interface HandlerStats {
  /** Sessions, including those that are closing. */
  sessions: number
  /** Sessions with an open stream. */
  connected: number
  /** Sessions with an open stream, by protocol. */
  protocols: Record<Protocol, number>
  /** Groups that have members. */
  groups: number
  /** Topics that have subscribers, a producer or retained values, each set of parameters counted by itself. */
  topics: number
  /** Subscriptions to topics, of all sessions. */
  subscriptions: number
  /** Values that topics retain for later subscribers. */
  retainedValues: number
  /** Bytes of memory for these; `maxRetainedBytes` bounds it. */
  retainedBytes: number
}

/** Figures of one topic on this node. */
export interface TopicStats {
  /** Sessions that are subscribed. */
  subscribers: number
  /** Values that are retained; `maxRetained` bounds it. */
  retainedValues: number
  /** Bytes of memory for these. */
  retainedBytes: number
  /** Updates published since the topic's first subscriber, or its first retained value. */
  published: number
  /** Whether its producer runs: `start` was called, and its `signal` has not aborted. */
  running: boolean
}

/** A topic with its parameters, looked up at each use. It holds no memory without subscribers, producer and retained values. */
export interface LiveTopic<Updates extends UpdateDefinitions = UpdateDefinitions> {
  /** Such as `host?id=a`: parameters sorted by key, and URL-encoded. */
  readonly name: string
  /** Number of subscribed sessions on this node. */
  readonly size: number
  /** The same topic on this node alone: what it publishes goes to no other node. Without a cluster, the topic itself. */
  readonly local: LiveTopic<Updates>
  /** The current figures. */
  readonly stats: TopicStats
  /**
   * Sends an update, encoded once, to every subscriber. It never blocks. `onOverflow` decides what happens to a
   * subscriber beyond its limits. If the update is conflated, its value is retained for later subscribers. A topic with
   * `start` retains nothing while it has neither a subscriber nor a producer.
   *
   * @returns the number of subscribers on this node
   * @throws the errors of `session.send`; then no subscriber gets the update, and nothing is retained.
   */
  publish: <Name extends keyof Updates & string>(name: Name, data: UpdateData<Updates[Name]>) => number
  /**
   * Takes a session's subscription back, also one that is being authorised. Its client gets the outcome `TETHER_REVOKED`.
   * It may subscribe again; then `authorize` decides.
   *
   * @returns false for a session that has no such subscription
   */
  revoke: (session: Session<any, any>) => boolean
}

/** The parameters are optional where `{}` would do. */
type TopicArguments<Input> = {} extends Input ? [params?: Input] : [params: Input]

/** The sessions of one `stateful` URL; `stateful` returns it. */
export interface Handler<State = unknown, Updates extends UpdateDefinitions = UpdateDefinitions, Topics extends TopicDefinitions = {}> {
  /**
   * Sends an update, encoded once, to every session, connected or not. It never blocks.
   * `onOverflow` decides what happens to a session beyond its limits.
   *
   * @returns the number of sessions; `stats` counts the frames.
   * @throws the errors of `session.send`; then no session gets the update.
   */
  broadcast: <Name extends keyof Updates & string>(name: Name, data: UpdateData<Updates[Name]>) => number
  /** The handler of this node alone: its broadcasts go to no other node, and take their place at once. Without a cluster, the handler itself. */
  readonly local: Handler<State, Updates, Topics>
  /**
   * Resolves when all broadcasts that this node has called so far were delivered to its sessions, or are lost. Without
   * a cluster, at once. Rejects with `FST_ERR_TETHER_ENGINE` if the application closes before.
   */
  synced: () => Promise<void>
  /**
   * Returns all sessions of one owner, whether it has any or not.
   *
   * @param id what `bind` gives; a number is the same as its text
   * @throws `FST_ERR_TETHER_ARGUMENT` for any other value.
   */
  user: (id: string | number) => User<Updates>
  /**
   * Finds an open session by its id or its ref; in a cluster on all nodes, and in the engine.
   *
   * @returns a promise; null if there is none. Rejects with `FST_ERR_TETHER_UNAVAILABLE` if its node, or the engine, does not answer.
   */
  find: (idOrRef: string) => Promise<FoundSession<Updates> | null>
  /** Returns the group of a name, with or without members. Throws a TypeError for an empty name. */
  group: (name: string) => Group<State, Updates>
  /**
   * Returns the topic of a name and parameters, with or without subscribers.
   *
   * @throws `FST_ERR_TETHER_UNKNOWN_TOPIC` for a name outside the contract, `FST_ERR_TETHER_ARGUMENT` for parameters
   * that its schema refuses.
   */
  topic<Name extends keyof Topics & string> (name: Name, ...params: TopicArguments<TopicInput<Topics[Name]>>): LiveTopic<TopicUpdates<Topics[Name]>>
  /** All topics that have subscribers, a producer or retained values. */
  readonly topics: Iterable<LiveTopic>
  /** All open sessions, prepared ones included. */
  readonly sessions: Iterable<Session<State, Updates>>
  /** Returns the open session of an id, or of an unused claim from `prepare`; undefined if there is none. */
  get: (id: string) => Session<State, Updates> | undefined
  /**
   * Makes a session while the application renders its page. The page must open the stream within
   * `pendingMs`, and name the claim: by `?tether-session=<claim>`, or by the header.
   *
   * @returns a promise for the claim to embed. A claim opens one stream; that stream's hello names
   * the session's id. Null while the server drains, and when a limit is reached: of prepared
   * sessions, of all sessions, or of this client's sessions. The promise rejects only with an
   * error of `initialState` or `bind`.
   */
  prepare: (request: AnyRequest) => Promise<string | null>
  /** The current figures. */
  readonly stats: HandlerStats
}
