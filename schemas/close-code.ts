/**
 * The server's close codes of a WebSocket. The goodbye frame before the close has the same reason as a word.
 *
 * @see docs/protocol.md, RFC 6455, section 7.4
 */
export const closeCodes = Object.freeze({
  /** The stream ended. */
  normal: 1000,
  /** The server is stopping. */
  goingAway: 1001,
  /** A message was not text. */
  unsupported: 1003,
  /** The application refused a session, or too many messages came before the session existed. */
  policy: 1008,
  /** A message was far larger than `maxEventBytes`. */
  tooLarge: 1009,
  /** The application failed to make a session. */
  failed: 1011,
  /** There is no room for a session now. */
  tryLater: 1013,
  /** The first message names no session. */
  badOpening: 4400,
  /** No first message came in time. */
  openTimeout: 4408,
  /** A newer stream of the same session replaced this one. */
  replaced: 4409,
  /** The session was closed for good; the client should not reconnect. */
  gone: 4410
} as const)

export type CloseCode = typeof closeCodes[keyof typeof closeCodes]
