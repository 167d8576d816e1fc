import type { RecordableHistogram } from 'node:perf_hooks'
import { SocketStream, type StreamTarget } from '../streams/socket-stream.ts'
import type { FrameCounter } from './frame-counter.ts'

const readBuffer = Buffer.allocUnsafeSlow(256 * 1024)
/** Of slow readers, so that they take a little at a time. */
const sipBuffer = Buffer.allocUnsafeSlow(8 * 1024)
const slowBytesPerSecond = 50_000

/** How much a reader takes that is not counted. */
export type Pace = 'frozen' | 'slow'

/** One reader whose share of each tick is counted. */
export interface Reader {
  /** Whether it is there for what is broadcast from now on. */
  readonly isOpen: boolean
  /** Frames or chunks, since the last reset. */
  units: number
  /** Of all bodies so far. */
  readonly bytes: number
}

export interface ReaderParts {
  readonly target: StreamTarget
  /** Told of each read that completed some. */
  onUnits (units: number): void
  onFault (reason: string): void
}

/** Counts frames. */
export class FrameReader implements Reader {
  units = 0
  /** Where the ages of its frames go; null for all but a sample of the readers. */
  latencies: RecordableHistogram | null = null
  readonly #stream: SocketStream

  constructor ({ target, onUnits, onFault }: ReaderParts, counter: FrameCounter) {
    this.#stream = new SocketStream({
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
    })
  }

  get isOpen (): boolean {
    return this.#stream.hasHead
  }

  get bytes (): number {
    return this.#stream.socket.bytesRead
  }
}

/** Asks for a stream and then takes nothing of it, or little. What becomes of it is the server's choice. */
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
