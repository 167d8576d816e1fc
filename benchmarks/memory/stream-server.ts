/** One way of serving idle streams, listening on a loopback port of its own. */
export interface StreamServer {
  readonly port: number
  openCount (): Promise<number>
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
