import type { UpdateData, UpdateDefinitions } from '../../schemas/contract.ts'
import type { Protocol } from '../carriers/carrier.ts'
import type { StreamCompression } from '../carriers/stream-compression.ts'
import type { Figures } from '../metrics/figures.ts'
import type { AnyRequest } from '../streams/transport.ts'

/** Why a session ended: a word of the library's, or what the application gave to `close`. */
export type CloseReason =
  /** The application closed it, and gave no reason. */
  | 'closed'
  /** Its page said that it goes away, and did not come back. */
  | 'left'
  /** It was without a stream for `reconnectMs`. */
  | 'reconnect-timeout'
  /** It had neither a stream nor an event for `idleMs`. */
  | 'idle'
  /** It was as old as `maxLifetimeMs`. */
  | 'lifetime'
  /** It had no stream, and others needed its place: there were more than `maxDetached`. */
  | 'evicted'
  /** `drain` was called. */
  | 'draining'
  /** The server is closing. */
  | 'shutdown'
  | (string & {})

/** What a session did so far, and what waits for it. */
export interface SessionStats extends Figures {
  /** Updates that wait to be written for the first time. */
  queuedFrames: number
  /** Bytes of these. */
  queuedBytes: number
  /** Updates kept for a reader that comes back, those that wait included. */
  heldFrames: number
  /** Bytes of these. */
  heldBytes: number
  /** Commands that wait for their turn. */
  queuedCommands: number
  /** Whether the write buffer is full and the loop stands still. */
  stalled: boolean
  /** How its present stream is compressed, and what that makes of it; null where there is none, or it is not. */
  compression: StreamCompression | null
}

/** One tab's session, as handlers and hooks see it. */
export interface Session<State = unknown, Updates extends UpdateDefinitions = UpdateDefinitions> {
  /** 24 characters that name it; a secret of this client's. */
  readonly id: string
  /** The application's own, as `initialState` made it. */
  state: State
  /** Whether a stream is open now. */
  readonly connected: boolean
  /** Aborted, with the reason, as soon as the session is being closed: for work that goes on beside its handlers. */
  readonly signal: AbortSignal
  /** Figures, counted since it was made. */
  readonly stats: SessionStats
  /**
   * Queues an update; it leaves with all others of this turn of the event loop.
   *
   * @returns a promise that never rejects: `true` when there is room behind the
   * update, at once or as soon as the reader caught up to less than `writeBuffer`
   * waiting ones; `false` when the session closed first. Without a stream it is
   * `true` at once, and the update waits for the reader to come back.
   * @throws `FST_ERR_TETHER_SERIALIZATION` for data that the update's schema cannot
   * serialise, `FST_ERR_TETHER_UNKNOWN_UPDATE`, and what the key function of
   * `conflate` throws. Nothing is queued then.
   * @see docs/flow-control.md
   */
  send: <Name extends keyof Updates & string>(name: Name, data: UpdateData<Updates[Name]>) => Promise<boolean>
  /**
   * Queues a function on the command channel, behind what waits there; from within
   * the session's own handler it runs at once, as a part of it.
   *
   * @returns a promise for what it returns. It rejects with what the function
   * throws (which is logged and reported as well), with `FST_ERR_TETHER_BUSY` when
   * `commandBuffer` commands wait, and with `FST_ERR_TETHER_SESSION_CLOSED`. Nobody
   * need listen.
   */
  update: <Result>(command: (session: this) => Result) => Promise<Awaited<Result>>
  /**
   * Closes the session for good: it leaves its groups, accepted commands run, what
   * waits is written, the stream ends with a goodbye, then `onDisconnect` and `onClose` run.
   *
   * @param reason told to the client and to `onClose`; default `'closed'`.
   * @param options `reconnect: true` lets the browser come back for a new session;
   * otherwise its retries are answered with 204, which ends them.
   * @returns a promise that never rejects, and resolves when all that is done; from
   * within the session's own handler, at once. Further calls change nothing.
   */
  close: (reason?: CloseReason, options?: { reconnect?: boolean }) => Promise<void>
}

/** A named set of sessions. It holds no memory while it has no members. */
export interface Group<State = unknown, Updates extends UpdateDefinitions = UpdateDefinitions> extends Iterable<Session<State, Updates>> {
  /** What `live.group(name)` was called with. */
  readonly name: string
  /** How many members it has. */
  readonly size: number
  /**
   * Adds a session, until it is deleted or closes. Returns false when it is in already
   * or closed. Queues `onJoin`.
   *
   * @throws TypeError for a session of another handler.
   */
  add: (session: Session<State, Updates>) => boolean
  /** Takes a session out. Returns false when it was not in. Queues `onLeave`. */
  delete: (session: Session<State, Updates>) => boolean
  /** Whether a session is a member. */
  has: (session: Session<State, Updates>) => boolean
  /**
   * Sends an update to every member; encoded once. It never waits for a member, and
   * none delays another: one that is over its limits is treated as `onOverflow` says.
   *
   * @returns the number of members; what became of the frames is in `stats`.
   * @throws as `session.send` does; then nobody gets anything.
   */
  broadcast: <Name extends keyof Updates & string>(name: Name, data: UpdateData<Updates[Name]>) => number
  /** The same, to every member but one. */
  broadcastExcept: <Name extends keyof Updates & string>(session: Session<State, Updates>, name: Name, data: UpdateData<Updates[Name]>) => number
}

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
