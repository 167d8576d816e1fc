import type { Verdict } from './verdict.ts'

/** First frame of a stream: the session, and the limits that hold for it. */
export interface Hello {
  session: string
  verdict: Verdict
  /** Number of the update before the next one. */
  seq: number
  heartbeatMs: number
  maxBatch: number
  maxEventBytes: number
  /** Number of the last event accepted; absent before the first, and from servers that do not send it. */
  accepted?: number | undefined
  /** Number of the last event that survives a crash of the session's node; absent where that is `accepted`. */
  durable?: number | undefined
  /** Names of the updates that are text, not JSON; absent for none, and for clients that do not count updates. */
  text?: readonly string[] | undefined
  /** Name of the update that is written without it; absent for none, and for clients that do not count updates. */
  unnamed?: string | undefined
}
