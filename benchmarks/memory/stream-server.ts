/** One way of serving streams, listening on a loopback port of its own. */
export interface StreamServer {
  readonly port: number
  openCount (): number
  /** Sends to all streams. */
  broadcast (text: string): void
  /** Bytes that wait or are kept for its streams, as far as it knows. */
  bufferedBytes (): number
  /** Whether nothing is left of streams that are gone. */
  isEmpty (): boolean
}

export interface StreamServerOptions {
  /** Streams that will be opened. */
  readonly streams: number
  /** Folder of another build of the library, where one is compared. */
  readonly library?: string
  /** Whether a reader that takes nothing keeps its stream for ever, so that all that its limits allow waits for it. */
  readonly keepsBlocked?: boolean
}
