import type { RecordableHistogram } from 'node:perf_hooks'
import { Http2Stream } from '../streams/http2-stream.ts'
import { SocketStream, type SocketStreamParts, type StreamTarget } from '../streams/socket-stream.ts'
import type { FrameCounter } from './frame-counter.ts'

const readBuffer = Buffer.allocUnsafeSlow(256 * 1024)
/** Buffer size of slow readers, so that they take a little at a time. */
const sipBuffer = Buffer.allocUnsafeSlow(8 * 1024)
const slowBytesPerSecond = 50_000

/** Speed of a reader that is not counted. */
export type Pace = 'frozen' | 'slow'

/** One reader whose share of each tick is counted. */
export interface Reader {
  /** Whether it is ready for the next broadcasts. */
  readonly isOpen: boolean
  /** Frames or chunks, since the last reset. */
  units: number
  /** Bytes of all bodies so far. */
  readonly bytes: number
}

export interface ReaderParts {
  readonly target: StreamTarget
  /** Called after each read that completed at least one unit. */
  onUnits (units: number): void
  onFault (reason: string): void
}

/** Counts frames. */
export class FrameReader implements Reader {
  units = 0
  /** Histogram of its frames' ages; null for all but a sample of the readers. */
  latencies: RecordableHistogram | null = null
  readonly #stream: SocketStream | Http2Stream

  constructor ({ target, onUnits, onFault }: ReaderParts, counter: FrameCounter) {
    const parts: SocketStreamParts = {
      target,
      buffer: readBuffer,
      onFault,
      onBody: (bytes, length) => {
        const frames = counter.count(bytes, length, this.latencies)
        if (frames > 0) {
          this.units += frames
          onUnits(frames)
        }
        return true
      }
    }
    this.#stream = target.protocol === 'http2' ? new Http2Stream(parts) : new SocketStream(parts)
  }

  get isOpen (): boolean {
    return this.#stream.hasHead
  }

  get bytes (): number {
    return this.#stream.socket.bytesRead
  }
}

/** Requests a stream and then takes nothing of it, or little. The server decides how to treat it. */
export function openBlocked (target: StreamTarget, pace: Pace): void {
  const { socket } = new SocketStream({
    target,
    buffer: sipBuffer,
    onFault: () => {},
    onBody: (bytes, length) => {
      if (pace === 'slow') setTimeout(() => { if (!socket.destroyed) socket.resume() }, length / slowBytesPerSecond * 1000)
      return false
    }
  })
}
