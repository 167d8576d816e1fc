import { readFirstFrame } from '../harness/streams/event-streams.ts'
import { SocketStream, type StreamTarget } from '../harness/streams/socket-stream.ts'
import type { Speed } from './speed.ts'
import type { StampScanner } from './stamp-scanner.ts'

const fastPieceBytes = 65_536
/** Reads a second of a slow reader. Smaller and more frequent reads would lose tokens. */
const piecesPerSecond = 20
const leastPieceBytes = 512
/** Most that an idle reader may catch up, in seconds of its speed. */
const burstSeconds = 0.1

export interface ReaderParts {
  readonly target: StreamTarget
  readonly speed: Speed
  readonly scanner: StampScanner
  onStamp (at: number): void
}

/** One stream, read as fast as its speed allows: a bucket of tokens, one for a byte. */
export class Reader {
  readonly speed: Speed
  session = ''
  /** Reason of its end; undefined while it reads. */
  fault: string | undefined
  readonly #parts: ReaderParts
  readonly #stream: SocketStream
  readonly #pieceBytes: number
  /** Text before the end of the first frame. */
  #beginning: string | null = ''
  #tokens = 0
  #tokensAt = 0
  #isTapOpen = false
  #settleOpen: (() => void) | null = null

  constructor (parts: ReaderParts) {
    this.#parts = parts
    this.speed = parts.speed
    this.#pieceBytes = Math.min(fastPieceBytes, Math.max(leastPieceBytes, Math.round(this.speed.bytesPerSecond / piecesPerSecond)))
    this.#stream = new SocketStream({
      target: parts.target,
      buffer: Buffer.allocUnsafeSlow(this.#pieceBytes),
      onBody: (bytes, length) => this.#read(bytes, length),
      onFault: (reason) => this.#fail(reason)
    })
  }

  get bytesRead (): number {
    return this.#stream.socket.bytesRead
  }

  /** Resolves when the stream has begun. From then on, slow readers read nothing until `begin`. */
  async open (timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.#fail('no first frame in time'), timeoutMs)
    await new Promise<void>((resolve) => { this.#settleOpen = resolve })
    clearTimeout(timer)
    if (this.fault !== undefined) throw new Error(`a stream did not open: ${this.fault}`)
  }

  /** Reads at its speed from now on. */
  begin (now: number): void {
    this.#tokens = 0
    this.#tokensAt = now
    this.#isTapOpen = true
  }

  /** Adds the tokens of the passed time. */
  tick (now: number): void {
    const { bytesPerSecond } = this.speed
    if (!this.#isTapOpen || bytesPerSecond === 0 || bytesPerSecond === Number.POSITIVE_INFINITY) return
    const most = Math.max(this.#pieceBytes, bytesPerSecond * burstSeconds)
    this.#tokens = Math.min(most, this.#tokens + bytesPerSecond * (now - this.#tokensAt) / 1000)
    this.#tokensAt = now
    if (this.#tokens > 0) this.#stream.socket.resume()
  }

  destroy (): void {
    this.fault ??= 'closed'
    this.#stream.leave()
  }

  /** Returns whether to read on. */
  #read (bytes: Buffer, length: number): boolean {
    const isFast = this.speed.bytesPerSecond === Number.POSITIVE_INFINITY
    if (this.#beginning !== null) {
      this.#beginning += bytes.toString('latin1', 0, length)
      const session = readFirstFrame(this.#beginning)
      if (session === null) return true
      this.#beginning = null
      this.session = session
      this.#settleOpen?.()
      return isFast
    }
    this.#parts.scanner.scan(bytes, length, this.#parts.onStamp)
    if (isFast) return true
    this.#tokens -= length
    return this.#tokens > 0
  }

  #fail (reason: string): void {
    this.fault ??= reason
    this.#settleOpen?.()
  }
}
