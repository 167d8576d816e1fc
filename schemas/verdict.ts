/** What the server makes of the session that a stream asks for. */
export type Verdict =
  /** The client named no session. The new one knows nothing of the client yet. */
  | 'new'
  /** Every update after the number that the client named follows. */
  | 'resumed'
  /** Some of those updates are lost. The ones still held follow, and `onConnect` sends a snapshot. */
  | 'gap'
  /** The session is gone for this client. The server made a new one, which knows nothing of the client yet. */
  | 'expired'
