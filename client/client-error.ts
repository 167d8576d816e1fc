import type { Fault } from '../schemas/fault.ts'

/** Codes of the client's own errors. A refusal keeps the server's code, such as `FST_ERR_VALIDATION`. */
export type ClientErrorCode =
  /** The event was sent, and its session is gone. It may or may not have run. It is not sent again. */
  | 'TETHER_IN_DOUBT'
  /** The connection was closed before the event was sent, or before the awaited update came. */
  | 'TETHER_CLOSED'
  /** `maxQueued` events wait already. */
  | 'TETHER_QUEUE_FULL'
  /** There is no stream, or it ended before the answer to a ping. */
  | 'TETHER_NO_STREAM'
  /** The answer to a ping did not come within `requestTimeoutMs`. */
  | 'TETHER_TIMEOUT'
  | (string & {})

/** Fields of a {@link ClientError}. */
export interface ErrorFields {
  readonly code?: ClientErrorCode | undefined
  readonly message?: string
  readonly status?: number | undefined
  readonly errors?: Fault[] | undefined
}

/** Why the session did not accept an event. */
export class ClientError extends Error {
  /** Undefined where the answer has no code, such as a proxy's. */
  declare readonly code: ClientErrorCode | undefined
  /** Status of the answer; undefined where none came. */
  declare readonly status: number | undefined
  /** Every fault of the event, at a 400. */
  declare readonly errors: Fault[] | undefined

  constructor (fields: ErrorFields) {
    super(fields.code)
    Object.assign(this, fields)
  }
}
