import type { FastifyRequest } from 'fastify'
import type { Contract, EventData, EventSchemas, UpdateDefinitions } from '../../schemas/contract.ts'
import type { Verdict } from '../../schemas/verdict.ts'
import type { Protocol } from '../carriers/carrier.ts'
import type { DisconnectReason } from '../streams/stream.ts'
import type { CloseReason, Handler, Session } from './api.ts'

/** What every handler and hook gets beside its session. */
export interface HandlerContext<State, Updates extends UpdateDefinitions> {
  /** The handler that `stateful` returns: its groups, its sessions, `broadcast`. */
  readonly live: Handler<State, Updates>
}

/** What `onConnect` gets beside its session. */
export interface ConnectContext<State, Updates extends UpdateDefinitions> extends HandlerContext<State, Updates> {
  /** The GET that opened the stream. */
  readonly request: FastifyRequest
  /** On `gap`, `expired` and `new` the page needs a snapshot; on `resumed` it has everything. */
  readonly verdict: Verdict
  /** What the stream travels by. */
  readonly protocol: Protocol
}

/** What `onError` gets beside session and error. */
export interface ErrorContext<State, Updates extends UpdateDefinitions> extends HandlerContext<State, Updates> {
  /** Name of the event or hook that failed, or `update`. */
  readonly command: string
}

/**
 * Limits of a session's sizes and times. A whole number each; times are
 * milliseconds, and 0 turns one off, unless it says otherwise.
 */
export interface SessionOptions {
  /** Events and updates that may wait on the command channel; a full one answers 429. At least 1. Default 64. */
  commandBuffer?: number
  /** Bytes of a POST's body; more is a 413. At least 1. Default 65,536. */
  maxEventBytes?: number
  /** Events in one POST; at most `commandBuffer`. At least 1. Default 32, or `commandBuffer` if that is less. */
  maxBatch?: number
  /**
   * How long a handler may take to settle before its session goes on without it,
   * and `onError` is told. Time in which the write buffer is full does not count. Default 30,000.
   */
  handlerTimeoutMs?: number
  /** Closes a session that had neither a stream nor an event for so long. Default 0. */
  idleMs?: number
  /** Closes a session so long after it was made; its client gets a new one. Default 0. */
  maxLifetimeMs?: number
  /** How long a session is kept without a stream. 0: it ends with its stream. Default 30,000. */
  reconnectMs?: number
  /** Updates kept, once written, for a reader that comes back. 0: none. Default 256. */
  replayFrames?: number
  /** Bytes of them. 0: none. Default 262,144. */
  replayBytes?: number
  /** How long they are kept. Default 60,000. */
  replayAgeMs?: number
  /** Updates that may wait, never written, whoever ignores `send`'s promise; see `onOverflow`. At least 1. Default 1,024. */
  queueFrames?: number
  /** Bytes of them; a single larger one still passes. At least 1. Default 1,048,576. */
  queueBytes?: number
  /**
   * What happens over `queueFrames` or `queueBytes`: `'disconnect'` ends the stream,
   * and the session's client resumes or is told of a gap; `'dropOldest'` drops what has
   * waited longest and announces a gap. Without a stream the oldest is dropped. Default `'disconnect'`.
   */
  onOverflow?: 'disconnect' | 'dropOldest'
  /**
   * Least time from one write of updates to the next, for a page that wants so many
   * pictures a second and no more; meanwhile updates wait, and conflate. Default 0.
   */
  minIntervalMs?: number
}

/** Who may use a session. */
export interface AccessOptions {
  /** Origins, such as `https://app.example.com`, whose pages may connect and post from another site. Default none. */
  trustedOrigins?: readonly string[]
  /**
   * Tells who makes a request: a user's id, a cookie. A session answers only to the
   * one who opened it. Null or undefined for nobody in particular. If it throws, the
   * request gets that error. Default none: whoever knows the id may use the session.
   */
  bind?: (request: FastifyRequest) => string | number | null | undefined
}

/**
 * Hooks may return a promise, as handlers may. They run one at a time with the
 * handlers of their session, and what they throw is treated the same.
 */
export interface SessionConfig<Events extends EventSchemas, Updates extends UpdateDefinitions, State> extends SessionOptions, AccessOptions {
  /** What `defineContract` returns. */
  contract: Contract<Events, Updates>
  /**
   * Makes the session's state, once, before its stream opens; may return a promise.
   * If it throws, the request gets that error and there is no session. Default: undefined.
   */
  initialState?: (request: FastifyRequest) => State | Promise<State>
  /**
   * A handler for each event. It may return a promise; the session's next command
   * runs when that has settled. If it throws or rejects, that is logged and given to
   * `onError`, and the session goes on.
   */
  on?: {
    [Name in keyof Events]: (session: Session<State, Updates>, data: EventData<Events[Name]>, context: HandlerContext<State, Updates>) => unknown
  }
  /** A stream was opened: the first, or one that resumes. Runs before the events that follow. */
  onConnect?: (session: Session<State, Updates>, context: ConnectContext<State, Updates>) => unknown
  /** The stream is gone; the session is kept for a reconnect. Runs once for every `onConnect`. */
  onDisconnect?: (session: Session<State, Updates>, reason: DisconnectReason, context: HandlerContext<State, Updates>) => unknown
  /** The session is gone for good. Runs once, after everything it accepted, if it ever connected. */
  onClose?: (session: Session<State, Updates>, reason: CloseReason, context: HandlerContext<State, Updates>) => unknown
  /** The session was added to a group; runs when the present handler has settled. */
  onJoin?: (session: Session<State, Updates>, group: string, context: HandlerContext<State, Updates>) => unknown
  /** The session left a group, or is closing; runs when the present handler has settled. */
  onLeave?: (session: Session<State, Updates>, group: string, context: HandlerContext<State, Updates>) => unknown
  /**
   * A handler or hook of the session threw, rejected or did not settle in time. It is
   * called at once, beside logging and not in its place. What it throws itself is logged.
   */
  onError?: (session: Session<State, Updates>, error: unknown, context: ErrorContext<State, Updates>) => void
}

export type AnySessionConfig = SessionConfig<any, any, any>
