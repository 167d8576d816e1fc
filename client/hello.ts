/** What became of the session that the page had, as the server says. */
export type Verdict =
  /** There was none; this one knows nothing of the page yet. */
  | 'new'
  /** Nothing is missing. */
  | 'resumed'
  /** Updates are lost. */
  | 'gap'
  /** It is gone; this is another, which knows nothing of the page yet. */
  | 'expired'

/** What a hello frame says. */
export interface Hello {
  session: string
  verdict: Verdict
  seq: number
  heartbeatMs: number
  maxBatch: number
  maxEventBytes: number
  /** Number of the last event accepted; left out when there is none, and by servers that do not tell. */
  accepted?: number
  /** Names of the updates that are text, not JSON. */
  text?: string[]
}
