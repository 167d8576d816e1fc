import net from 'node:net'
import type { RecordableHistogram } from 'node:perf_hooks'
import type { FrameCounter } from './frame-counter.ts'

/** All sockets read into the same bytes, since each read is dealt with before the next. */
const readBuffer = Buffer.allocUnsafeSlow(256 * 1024)
/** Of slow readers, so that they take a little at a time. */
const sipBuffer = Buffer.allocUnsafeSlow(8 * 1024)
const slowBytesPerSecond = 50_000

const goodHead = /^HTTP\/1\.1 (?:200|101) /

export type ReaderFault = (reader: Reader, reason: string) => void

export interface ReaderParts {
  readonly port: number
  readonly request: string
  readonly counter: FrameCounter
  /** Told of each read that completed frames. */
  readonly onFrames: (frames: number) => void
  /** The connection ended, or does not carry what was asked for. */
  readonly onFault: ReaderFault
}

/** One plain socket that asks for a stream and counts what comes. */
export class Reader {
  frames = 0
  /** Where the ages of its frames go; null for all but a sample of the readers. */
  latencies: RecordableHistogram | null = null
  readonly socket: net.Socket
  readonly #parts: ReaderParts
  #hasHead = false

  constructor (parts: ReaderParts) {
    this.#parts = parts
    this.socket = net.connect({
      port: parts.port,
      host: '127.0.0.1',
      onread: {
        buffer: readBuffer,
        callback: (length) => {
          this.#read(length)
          return true
        }
      }
    })
    this.socket.on('connect', () => this.socket.write(parts.request, 'latin1'))
    this.socket.on('error', (error) => parts.onFault(this, error.message))
    this.socket.on('close', () => parts.onFault(this, 'closed by the server'))
  }

  #read (length: number): void {
    if (!this.#hasHead) this.#checkHead(length)
    const { counter, onFrames } = this.#parts
    const frames = counter.count(readBuffer, length, this.latencies)
    if (frames === 0) return
    this.frames += frames
    onFrames(frames)
  }

  #checkHead (length: number): void {
    this.#hasHead = true
    const head = readBuffer.toString('latin1', 0, Math.min(length, 200))
    if (!goodHead.test(head)) this.#parts.onFault(this, `was answered ${JSON.stringify(head)}`)
  }
}

/** A socket that asks for a stream and then takes nothing of it, or little. What becomes of it is the server's choice. */
export function openBlocked (port: number, request: string, pace: 'frozen' | 'slow'): net.Socket {
  const socket = net.connect({
    port,
    host: '127.0.0.1',
    onread: {
      buffer: sipBuffer,
      callback: (length) => {
        if (pace === 'slow') setTimeout(() => { if (!socket.destroyed) socket.resume() }, length / slowBytesPerSecond * 1000)
        return false
      }
    }
  })
  socket.on('connect', () => socket.write(request, 'latin1'))
  socket.on('error', () => {})
  return socket
}
