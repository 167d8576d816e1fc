import type { Fault } from './fault.ts'

/** The answer to events, as a frame on a WebSocket. A POST gets the same in its status, headers and body. */
export interface Answer {
  status: number
  /** At a 202: number of the last event that the session accepted. */
  seq?: number
  /** At a 202: number of the last event that survives a crash of the session's node; absent where that is `seq`. */
  durable?: number | undefined
  /** At a 202: number of events accepted before; absent for none. */
  known?: number | undefined
  code?: string | undefined
  message?: string
  /** At a 400: every fault of the events. */
  errors?: Fault[] | undefined
  /** At a 409: number of the next event due. */
  expected?: number | undefined
  /** At a 429 or a 503: seconds until the client may retry. */
  retryAfter?: number | undefined
}
