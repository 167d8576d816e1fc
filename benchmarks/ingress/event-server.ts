/** One way of taking events, listening on a loopback port of its own. */
export interface EventServer {
  readonly port: number
  /** Number of events whose handler has run since the server started. */
  handledCount (): number
}
