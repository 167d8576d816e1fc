import type { Fault } from '../schemas/fault.ts'

/** What goes wrong on this side. Refusals keep the server's own code, such as `FST_ERR_VALIDATION`. */
export type ClientErrorCode =
  /** The event was sent, its session is gone, and nobody knows whether it ran. It has not been sent again. */
  | 'TETHER_IN_DOUBT'
  /** The connection was closed before the event was sent, or before what was waited for came. */
  | 'TETHER_CLOSED'
  /** `maxQueued` events wait. */
  | 'TETHER_QUEUE_FULL'
  | (string & {})

/** What a {@link ClientError} tells. */
export interface ErrorFields {
  readonly code?: ClientErrorCode | undefined
  readonly message?: string
  readonly status?: number | undefined
  readonly errors?: Fault[] | undefined
}

/** Why an event was not accepted. */
export class ClientError extends Error {
  /** Undefined when the answer named none, as a proxy's does. */
  declare readonly code: ClientErrorCode | undefined
  /** Status of the answer; undefined when there was none. */
  declare readonly status: number | undefined
  /** Every fault of the event, at a 400. */
  declare readonly errors: Fault[] | undefined

  constructor (fields: ErrorFields) {
    super(fields.code)
    Object.assign(this, fields)
  }
}
