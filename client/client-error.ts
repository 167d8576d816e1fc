import type { Fault } from '../schemas/fault.ts'

/** Codes of the client's own errors. A refusal keeps the server's code, such as `FST_ERR_VALIDATION`. */
export type ClientErrorCode =
  /** The event was sent, and its session is gone. It may or may not have run. It is not sent again. */
  | 'TETHER_IN_DOUBT'
  /** The connection was closed before the event was sent, or before the awaited update came. */
  | 'TETHER_CLOSED'
  /** The server refused a subscription. */
  | 'TETHER_REFUSED'
  /** The server took a subscription back. */
  | 'TETHER_REVOKED'
  /** `maxQueued` events wait already. */
  | 'TETHER_QUEUE_FULL'
  /** The handler of the request failed. The client learns no more; the server's log does. */
  | 'TETHER_FAILED'
  /** There is no stream, or it ended before the answer to a ping. */
  | 'TETHER_NO_STREAM'
  /** The reply did not come within `timeoutMs`, or the answer to a ping within `requestTimeoutMs`. */
  | 'TETHER_TIMEOUT'
  | (string & {})

/** Fields of a {@link ClientError}. */
export interface ErrorFields {
  readonly code?: ClientErrorCode | undefined
  readonly message?: string
  readonly status?: number | undefined
  readonly errors?: Fault[] | undefined
  readonly data?: unknown
}

/** Why the session did not accept an event, or why a request has no reply. */
export class ClientError extends Error {
  /** Undefined where the answer has no code, such as a proxy's. */
  declare readonly code: ClientErrorCode | undefined
  /** Status of the answer; undefined where none came. */
  declare readonly status: number | undefined
  /** Every fault of the event, at a 400. */
  declare readonly errors: Fault[] | undefined
  /** Details that the request's handler gave with its `EventError`. */
  declare readonly data: unknown

  constructor (fields: ErrorFields) {
    super(fields.code)
    Object.assign(this, fields)
  }
}
