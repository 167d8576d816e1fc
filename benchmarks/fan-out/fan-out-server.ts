export interface FanOutOptions {
  /** Bytes of one frame. */
  readonly frameBytes: number
  /** Streams that will be opened. */
  readonly streams: number
  /** Folder of another build of the library, where one is compared. */
  readonly library?: string
}

/** One way of sending the same to many, listening on a loopback port of its own. */
export interface FanOutServer {
  readonly port: number
  readonly path: string
  readonly headers: Record<string, string>
  /** What a reader sends behind the head of its request, each character a byte. */
  readonly opening?: string
  /** How many streams a broadcast reaches by now. */
  audience (): number | Promise<number>
  /** Broadcasts so many samples in this turn of the event loop. */
  emit (frames: number): void
  /** Answers POST with 204 and does nothing else. */
  readonly postPath?: string
  /** Fills the pipes of the streams that were opened as blocked, until they take no more. */
  fill? (): Promise<void>
  /** Processor time used so far, where it is not this process that serves the streams. */
  processorMicroseconds? (): number
  /** Ends what this process does not own. */
  stop? (): void
}

/** Added to the path of a stream that is not going to be read, or only slowly. */
export const blockedQuery = '?blocked'

export const streamHeaders = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no'
}
