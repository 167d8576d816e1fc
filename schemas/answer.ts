import type { Fault } from './fault.ts'

/** The answer to events, as a frame on a WebSocket. A POST gets the same in its status, headers and body. */
export interface Answer {
  status: number
  /** Number of the last event that the session has accepted, at a 202. */
  seq?: number
  /** How many of the events had been accepted before, at a 202; absent for none. */
  known?: number | undefined
  code?: string | undefined
  message?: string
  /** Every fault of the events, at a 400. */
  errors?: Fault[] | undefined
  /** Number of the event that is due, at a 409. */
  expected?: number | undefined
  /** Seconds until the next try, at a 429 and a 503. */
  retryAfter?: number | undefined
}
