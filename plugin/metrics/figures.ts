/** What happened on the write side, counted for one session or for all. */
export class Figures {
  /** Updates written, replayed ones included. */
  framesWritten = 0
  /** Bytes of text handed to `write()`, before compression; control frames and heartbeats included, framing of HTTP and WebSocket not. */
  bytesWritten = 0
  /** Calls of `write()`. */
  writes = 0
  /** Times that the write buffer was full and the session's loop stalled. */
  stalls = 0
  /** Milliseconds that it stood stalled, all together. */
  stalledMs = 0
  /** Updates that took the place of an older one that waited. */
  conflated = 0
  /** Waiting updates that were dropped over a limit. */
  dropped = 0
  /** Streams ended since the reader was over a limit. */
  overflowDisconnects = 0
  /** Streams ended since the reader took nothing for `stallTimeoutMs`. */
  stallDisconnects = 0
  /** Events accepted from the browser. */
  eventsAccepted = 0
  /** Commands (events, updates, hooks) whose handler threw, rejected or did not settle in time. */
  handlerErrors = 0
  /** Most updates that ever waited at one time in one session. */
  queueHighWater = 0
}
