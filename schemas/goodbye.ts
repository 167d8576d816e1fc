/** Why the server ends a stream. `session.close(reason)` may give any other reason. */
export type GoodbyeReason =
  /** The session was closed for good. */
  | 'closed'
  /** A newer stream of the same session replaced this one. */
  | 'replaced'
  /** The page posted `tether.close` and did not come back in time. */
  | 'left'
  /** The session reached the age `maxLifetimeMs`. */
  | 'lifetime'
  /** The server is about to stop. */
  | 'draining'
  /** The server is stopping. */
  | 'shutdown'
  /** In a cluster, another node has the session. */
  | 'moved'
  /** The node has lost the others of its cluster. */
  | 'isolated'
  /** The cluster cannot reach the session now, or make a new one. */
  | 'unavailable'
  /** There is no room for another session. */
  | 'session-limit'
  /** On a WebSocket: the first message names no session. */
  | 'bad-opening'
  /** On a WebSocket: no first message came in time. */
  | 'open-timeout'
  /** On a WebSocket: a message was not text. */
  | 'not-text'
  /** On a WebSocket: a message was far larger than `maxEventBytes`. */
  | 'too-large'
  /** On a WebSocket: too many messages came before the session existed. */
  | 'too-many'
  /** On a WebSocket: the application refused a session. */
  | 'refused'
  /** On a WebSocket: the application failed to make a session. */
  | 'failed'
  | (string & {})

/** Last frame of a stream that the server ends. */
export interface Goodbye {
  reason: GoodbyeReason
  /** Whether the client may come back, to its own session or a new one. */
  reconnect: boolean
}
