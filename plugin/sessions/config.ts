import type { FastifyRequest } from 'fastify'
import type { Contract, EventData, EventSchemas, UpdateDefinitions } from '../../schemas/contract.ts'
import type { OptionsOf, optionTable } from '../../schemas/option-table.ts'
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

/** Limits of a session: sizes and times. */
export interface SessionOptions extends OptionsOf<typeof optionTable.stateful> {}

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
