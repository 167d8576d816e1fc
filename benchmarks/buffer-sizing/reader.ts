import net from 'node:net'
import type { Speed } from './speed.ts'
import type { StampScanner } from './stamp-scanner.ts'

const fastPieceBytes = 65_536
/** A slow reader reads this often in a second; less than a piece at a time would let time pass unread. */
const piecesPerSecond = 20
const leastPieceBytes = 512
/** What an idle reader may catch up with, in seconds of its speed. */
const burstSeconds = 0.1

const firstFrame = /^HTTP\/1\.1 (\d+)[^]*?\r\n\r\n[^]*?\ndata:([^\n]*)\n/
const sessionId = /"session":"([A-Za-z0-9_-]+)"/

export interface ReaderParts {
  readonly port: number
  readonly speed: Speed
  readonly scanner: StampScanner
  readonly onStamp: (at: number) => void
}

/** One stream over a plain socket, read as fast as its speed allows: a bucket of tokens, one for a byte. */
export class Reader {
  readonly speed: Speed
  session = ''
  /** Why it reads no more; undefined while it does. */
  fault: string | undefined
  readonly #parts: ReaderParts
  readonly #socket: net.Socket
  readonly #buffer: Buffer
  #head: string | null = ''
  #tokens = 0
  #tokensAt = 0
  #isOpenTap = false
  #settleOpen: (() => void) | null = null

  constructor (parts: ReaderParts) {
    this.#parts = parts
    this.speed = parts.speed
    const { bytesPerSecond } = parts.speed
    const piece = Math.min(fastPieceBytes, Math.max(leastPieceBytes, Math.round(bytesPerSecond / piecesPerSecond)))
    this.#buffer = Buffer.allocUnsafeSlow(piece)
    this.#socket = net.connect({
      port: parts.port,
      host: '127.0.0.1',
      onread: { buffer: this.#buffer, callback: (length) => this.#read(length) }
    })
    this.#socket.on('error', (error) => this.#fail(error.message))
    this.#socket.on('close', () => this.#fail('the server closed the stream'))
  }

  get bytesRead (): number {
    return this.#socket.bytesRead
  }

  /** Resolves when the stream has begun; slow readers read nothing more from then on until `begin`. */
  async open (timeoutMs: number): Promise<void> {
    this.#socket.write('GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\nX-Tether-Session: new\r\n\r\n')
    const timer = setTimeout(() => this.#fail('no first frame in time'), timeoutMs)
    await new Promise<void>((resolve) => { this.#settleOpen = resolve })
    clearTimeout(timer)
    if (this.fault !== undefined) throw new Error(`a stream did not open: ${this.fault}`)
  }

  /** Reads at its speed from now on. */
  begin (now: number): void {
    this.#tokens = 0
    this.#tokensAt = now
    this.#isOpenTap = true
  }

  /** Puts in the tokens of the time that has passed. */
  tick (now: number): void {
    const { bytesPerSecond } = this.speed
    if (!this.#isOpenTap || bytesPerSecond === 0 || bytesPerSecond === Number.POSITIVE_INFINITY) return
    const most = Math.max(this.#buffer.length, bytesPerSecond * burstSeconds)
    this.#tokens = Math.min(most, this.#tokens + bytesPerSecond * (now - this.#tokensAt) / 1000)
    this.#tokensAt = now
    if (this.#tokens > 0) this.#socket.resume()
  }

  destroy (): void {
    this.fault ??= 'closed'
    this.#socket.destroy()
  }

  /** Returns whether to go on reading. */
  #read (length: number): boolean {
    if (this.#head !== null) return this.#readHead(this.#head + this.#buffer.toString('latin1', 0, length))
    this.#parts.scanner.scan(this.#buffer, length, this.#parts.onStamp)
    if (this.speed.bytesPerSecond === Number.POSITIVE_INFINITY) return true
    this.#tokens -= length
    return this.#tokens > 0
  }

  #readHead (head: string): boolean {
    this.#head = head
    const match = firstFrame.exec(head)
    if (match === null) return true
    this.#head = null
    this.session = sessionId.exec(match[2] ?? '')?.[1] ?? ''
    if (match[1] !== '200' || this.session === '') this.#fail(`was answered ${JSON.stringify(head.slice(0, 200))}`)
    this.#settleOpen?.()
    return this.speed.bytesPerSecond === Number.POSITIVE_INFINITY
  }

  #fail (reason: string): void {
    this.fault ??= reason
    this.#settleOpen?.()
  }
}
