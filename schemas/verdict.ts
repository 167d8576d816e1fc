/** The server's decision on the session that a client names. */
export type Verdict =
  /** The client named no session and gets a new one, which knows nothing of the client yet. */
  | 'new'
  /** The client gets every update after the number that it named. */
  | 'resumed'
  /** Some of those updates are lost. The client gets the ones still held; `onConnect` should send a snapshot. */
  | 'gap'
  /** The named session is gone, or is not this client's. The client gets a new one, which knows nothing of it yet. */
  | 'expired'
