/** Figures of one session, or of all. */
export class Figures {
  /** Updates written, replayed ones included. */
  framesWritten = 0
  /** Bytes of text handed to `write()`, before compression; with control frames and heartbeats, without the framing of HTTP and WebSocket. */
  bytesWritten = 0
  /** Calls of `write()`. */
  writes = 0
  /** Times that a full write buffer stalled the session's loop. */
  stalls = 0
  /** Total milliseconds of these stalls. */
  stalledMs = 0
  /** Updates that replaced an older waiting one. */
  conflated = 0
  /** Waiting updates dropped over a limit. */
  dropped = 0
  /** Streams ended because the reader was over a limit. */
  overflowDisconnects = 0
  /** Streams ended because the reader took nothing for `stallTimeoutMs`. */
  stallDisconnects = 0
  /** Events accepted from the browser. */
  eventsAccepted = 0
  /** Commands (events, updates, hooks) whose handler threw, rejected or did not settle in time. */
  handlerErrors = 0
  /** Most updates that ever waited at one time in one session. */
  queueHighWater = 0
}
