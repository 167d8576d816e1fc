/** One way of serving streams, listening on a loopback port of its own. */
export interface StreamServer {
  readonly port: number
  openCount (): number | Promise<number>
}

/** One that also sends to them all. */
export interface BroadcastServer extends StreamServer {
  broadcast (text: string): void
  /** Bytes that wait or are kept for its streams, as far as it knows. */
  bufferedBytes (): number
  /** Whether nothing is left of streams that are gone. */
  isEmpty (): boolean
}

export interface StreamServerOptions {
  /** Streams that will be opened. */
  readonly streams: number
  /** Whether a reader that takes nothing keeps its stream for ever, so that all that its limits allow waits for it. */
  readonly keepsBlocked?: boolean
}

export const streamHeaders = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no'
}

/** The bare streams begin with as many bytes as a session does with its hello. */
export const firstFrame = 'retry: 1000\nid: AAAAAAAAAAAAAAAAAAAAAAAA.0\nevent: tether\n' +
  'data: {"type":"hello","session":"AAAAAAAAAAAAAAAAAAAAAAAA","verdict":"new","seq":0,' +
  '"heartbeatMs":20000,"maxBatch":32,"maxEventBytes":65536}\n\n'
