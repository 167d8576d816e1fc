import type { Duplex } from 'node:stream'
import type { Carrier, CarrierOwner } from './carrier.ts'
import type { EncodedBatch } from './encoded-batch.ts'
import { frameHead, frameMessage } from './websocket-frame.ts'

/** The members that this package uses of a WebSocket from `@fastify/websocket`. */
export interface WebSocketPeer {
  readonly readyState: number
  close (code?: number): void
  terminate (): void
  ping (): void
  pause (): void
  resume (): void
  on (event: string, listener: (...args: any[]) => void): unknown
}

const open = 1

/**
 * Writes text messages to a WebSocket's connection.
 *
 * It makes the frames itself. The socket's `send` makes several objects, a header and two
 * writes for every message; shared bytes can be framed once and need one write. A server's
 * frames are not masked, so all peers may get the same bytes. `write()` and `drain` of the
 * connection report its back-pressure; a socket's `bufferedAmount` gives an amount but no event.
 * The socket writes its own messages (ping, pong, close) whole and at once to the same
 * connection, so they stand between frames, where the protocol allows them.
 */
export class WebSocketCarrier implements Carrier {
  readonly protocol = 'websocket' as const
  readonly opensAtOnce = false
  readonly pieceBytes: number
  readonly #peer: WebSocketPeer
  readonly #pipe: Duplex & { _handle?: { writeQueueSize?: number } | null }
  #owner: CarrierOwner | null = null
  #inMessage = false
  #owesPong = false

  /**
   * @param pipe the connection that the socket writes to
   * @param pieceBytes most bytes to hand to one write
   */
  constructor (peer: WebSocketPeer, pipe: Duplex, pieceBytes: number) {
    this.#peer = peer
    this.#pipe = pipe
    this.pieceBytes = pieceBytes
  }

  get queuedBytes (): number {
    return this.#pipe._handle?.writeQueueSize ?? this.#pipe.writableLength
  }

  attach (owner: CarrierOwner): void {
    this.#owner = owner
    this.#peer.on('close', () => { owner.closed() })
    // 'close' always follows, and reports the end of the connection.
    this.#peer.on('error', () => {})
    this.#peer.on('pong', () => { this.#owesPong = false })
  }

  writeText (text: string, bytes: number): boolean {
    if (!this.#isOpen) return false
    const head = frameHead(bytes, 'whole')
    // Text with one byte a character is written with its head as one string.
    if (text.length === bytes) return this.#pipe.write(head + text, 'latin1') || this.#isTaken
    const message = Buffer.allocUnsafe(head.length + bytes)
    message.write(head, 'latin1')
    message.write(text, head.length, 'utf8')
    return this.#pipe.write(message) || this.#isTaken
  }

  writeBatch (batch: EncodedBatch): boolean {
    return this.#isOpen && (this.#pipe.write(batch.as(frameMessage)) || this.#isTaken)
  }

  writePart ({ bytes }: EncodedBatch, last: boolean): boolean {
    if (!this.#isOpen) return false
    const head = frameHead(bytes.length, this.#inMessage ? last ? 'last' : 'middle' : last ? 'whole' : 'first')
    this.#inMessage = !last
    this.#pipe.cork()
    this.#pipe.write(head, 'latin1')
    const writable = this.#pipe.write(bytes)
    this.#pipe.uncork()
    return writable || this.#isTaken
  }

  watchDrain (): void {
    // The connection ends with the socket.
    this.#pipe.on('drain', () => { this.#owner?.drained() })
  }

  beat (): boolean {
    if (this.#owesPong) return false
    this.#owesPong = true
    this.#peer.ping()
    return true
  }

  close (code: number): void {
    this.#peer.close(code)
  }

  destroy (): void {
    this.#peer.terminate()
  }

  /** Whether the operating system has taken all bytes, though they were more than the connection's buffer. */
  get #isTaken (): boolean { return this.#pipe.writableLength === 0 }

  // No data may follow a close frame.
  get #isOpen (): boolean {
    return this.#peer.readyState === open && this.#pipe.writable
  }
}
