import { OutgoingMessage, ServerResponse } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import { Socket } from 'node:net'
import type { Limits } from '../../schemas/limits.ts'
import type { Carrier, CarrierOwner } from './carrier.ts'
import type { EncodedBatch } from './encoded-batch.ts'
import type { EncodedBytes } from './encoded-bytes.ts'
import { chunkHead, frameChunk } from './http-chunk.ts'
import type { NumberedBatch } from './numbered-batch.ts'

const carried = Symbol('fastify-tether.carrier')

/** A response as Fastify provides it. On HTTP/2 it is Node's compatible class, which also has a `stream`. */
export type RawResponse = ServerResponse & { [carried]?: HttpCarrier, readonly stream?: ServerHttp2Stream }

/** A carrier of any bytes, not only of text. */
export interface ByteCarrier extends Carrier {
  /** @param text text, or one character for each byte if its length is `bytes` */
  writeText: (text: string, bytes: number) => boolean
  writeBatch: (batch: EncodedBytes) => boolean
  close: () => void
  cork: () => void
  uncork: () => void
}

const { write, end } = OutgoingMessage.prototype
const { write: socketWrite } = Socket.prototype

/**
 * Whether only Node's own methods stand between a response and its socket.
 *
 * Compressing middleware, monitoring agents and the responses of `app.inject` replace these
 * methods. Bytes written to the socket directly would bypass all of them.
 */
export function isPlainResponse (response: RawResponse): boolean {
  return response.stream === undefined && response instanceof ServerResponse && response.socket instanceof Socket &&
    response.write === write && response.end === end &&
    // An agent that was loaded before this module may have changed the prototype itself.
    write.name === 'write' && write.length === 3 && end.name === 'end' && end.length === 3
}

/** The carrier for a response whose head is final. */
export function createHttpCarrier (response: RawResponse, { writeBytes, http2WriteBytes }: Limits): ByteCarrier {
  // One stream's bytes delay the other streams of its connection, so its writes are smaller.
  if (response.stream !== undefined) return new Http2Carrier(response, response.stream, http2WriteBytes)
  const { socket, chunkedEncoding } = response
  // Node does the framing if there is no socket yet (a pipelined request that waits) or no chunks (HTTP/1.0).
  if (socket === null || chunkedEncoding !== true || !isPlainResponse(response)) return new HttpCarrier(response, writeBytes)
  return new ChunkCarrier(response, socket, writeBytes)
}

// Text with one byte a character needs no encoding.
function encodingOf (text: string, bytes: number): 'latin1' | 'utf8' {
  return text.length === bytes ? 'latin1' : 'utf8'
}

/** Writes through an HTTP/1 response. */
class HttpCarrier implements ByteCarrier {
  owner: CarrierOwner | null = null
  readonly pieceBytes: number
  protected readonly response: RawResponse
  /** Compressing middleware adds a `flush` of its own before the head; the `flush` of Node's prototype does something else. */
  readonly #hasFlush: boolean

  constructor (response: RawResponse, pieceBytes: number) {
    this.response = response
    this.pieceBytes = pieceBytes
    this.#hasFlush = Object.hasOwn(response, 'flush')
  }

  get opensAtOnce (): boolean { return !isPlainResponse(this.response) }
  get protocol (): 'http/1.1' | 'http/2' { return 'http/1.1' }

  get queuedBytes (): number {
    const socket = this.response.socket as (Socket & { _handle?: { writeQueueSize?: number } | null }) | null
    return socket?._handle?.writeQueueSize ?? 0
  }

  attach (owner: CarrierOwner): void {
    this.owner = owner
    // The listeners find the carrier through the response, so all streams share the same functions.
    this.response[carried] = this
    this.response.on('close', onClose)
    this.response.on('error', onError)
  }

  writeText (text: string, bytes: number): boolean {
    return this.#write(text, encodingOf(text, bytes))
  }

  writeBatch (batch: EncodedBytes): boolean {
    return this.#write(batch.bytes)
  }

  writePart (part: EncodedBatch): boolean {
    return this.#write(part.bytes)
  }

  #write (piece: string | Buffer, encoding: BufferEncoding = 'utf8'): boolean {
    const writable = this.response.write(piece, encoding)
    if (this.#hasFlush) (this.response as unknown as { flush: () => void }).flush()
    return writable
  }

  cork (): void {
    this.response.cork()
  }

  uncork (): void {
    this.response.uncork()
  }

  watchDrain (): void {
    this.response.on('drain', onDrain)
  }

  beat (): boolean {
    return true
  }

  close (): void {
    this.response.end()
  }

  destroy (): void {
    this.response.destroy()
  }
}

function onDrain (this: RawResponse): void {
  this[carried]?.owner?.drained()
}

function onClose (this: RawResponse): void {
  this[carried]?.owner?.closed()
}

// 'close' always follows, and reports the end of the connection.
function onError (): void {}

/** Writes through a response of HTTP/2. */
class Http2Carrier extends HttpCarrier {
  readonly #stream: ServerHttp2Stream

  constructor (response: RawResponse, stream: ServerHttp2Stream, pieceBytes: number) {
    super(response, pieceBytes)
    this.#stream = stream
  }

  override get opensAtOnce () { return false }
  override get protocol () { return 'http/2' as const }
  override get queuedBytes (): number { return 0 }

  override attach (owner: CarrierOwner): void {
    super.attach(owner)
    // If a client resets a stream without an error code, Node may wait for ever to write its last bytes.
    if (this.#stream.aborted) this.#giveUp(owner)
    else this.#stream.once('aborted', () => { this.#giveUp(owner) })
  }

  /**
   * Node emits `aborted` before its HTTP/2 engine knows that the stream is closed. If the stream is destroyed
   * in between, Node forgets it while the engine asks for its data for ever.
   */
  #giveUp (owner: CarrierOwner): void {
    owner.filled()
    setImmediate(() => { owner.aborted() })
  }
}

/**
 * Writes HTTP/1.1 chunks to the response's socket.
 *
 * `response.write` needs four writes and a tick to frame a piece; a piece that was framed
 * once for all its streams needs one write.
 *
 * A response may hold back its first bytes, the head included. So the first pieces go through
 * the response. Once the callback of the last held piece reports that all have left, later pieces
 * go to the socket. The close goes through the response, which writes the last chunk.
 */
class ChunkCarrier extends HttpCarrier {
  readonly #socket: Socket
  /** Callback of each held piece; null once pieces go to the socket. */
  #onLeft: (() => void) | null
  /** Pieces that the response still holds. */
  #held = 0
  /** Whether the owner waits for the held pieces to leave. */
  #owesDrain = false

  constructor (response: RawResponse, socket: Socket, pieceBytes: number) {
    super(response, pieceBytes)
    this.#socket = socket
    this.#onLeft = () => { this.#left() }
  }

  override get opensAtOnce () { return false }

  override writeText (text: string, bytes: number): boolean {
    if (this.#onLeft !== null) return this.#hold(text, encodingOf(text, bytes))
    if (!this.#socket.writable) return false
    return this.#socket.write(`${chunkHead(bytes)}${text}\r\n`, encodingOf(text, bytes)) || this.#isTaken
  }

  override writeBatch (batch: EncodedBytes): boolean {
    if (this.#onLeft !== null) return this.#hold(batch.bytes)
    // If the client has ended its side, the connection is about to close, and a write would be an error.
    if (!this.#socket.writable) return false
    return this.#socket.write(batch.as(frameChunk)) || this.#isTaken
  }

  writeNumbered (batch: NumberedBatch, prefix: string, first: number, bytes: number): boolean {
    const socket = this.#socket
    // A method of another's may keep a chunk, and write it later.
    if (this.#onLeft !== null || socket.write !== socketWrite) return this.writeText(batch.textFor(prefix, first), bytes)
    if (!socket.writable) return false
    const writable = socket.write(batch.chunkFor(prefix, first))
    if (this.#isTaken) return true
    batch.keepChunk()
    return writable
  }

  /**
   * Whether the operating system has taken all bytes. A write that is larger than the socket's buffer returns false
   * all the same.
   */
  get #isTaken (): boolean { return this.#socket.writableLength === 0 }

  override writePart ({ bytes }: EncodedBatch): boolean {
    if (this.#onLeft !== null) return this.#hold(bytes)
    const socket = this.#socket
    if (!socket.writable) return false
    socket.cork()
    socket.write(chunkHead(bytes.length), 'latin1')
    socket.write(bytes)
    const writable = socket.write('\r\n', 'latin1')
    socket.uncork()
    return writable || this.#isTaken
  }

  override cork (): void {
    if (this.#onLeft !== null) this.response.cork()
    else this.#socket.cork()
  }

  override uncork (): void {
    if (this.#onLeft !== null) this.response.uncork()
    else this.#socket.uncork()
  }

  override watchDrain (): void {
    // The socket outlives the response.
    const socket = this.#socket
    const drained = () => {
      // While the response holds pieces, their callback reports the drain.
      if (this.#onLeft === null && !socket.writableNeedDrain) this.owner?.drained()
    }
    socket.on('drain', drained)
    this.response.on('close', () => { socket.off('drain', drained) })
  }

  #hold (piece: string | Buffer, encoding: BufferEncoding = 'utf8'): boolean {
    this.#held++
    const writable = this.response.write(piece, encoding, this.#onLeft!)
    if (!writable) this.#owesDrain = true
    return writable
  }

  #left (): void {
    this.#held--
    // Node also calls this when the connection breaks. Nothing can be written after that.
    if (this.#held > 0 || !this.#socket.writable) return
    this.#onLeft = null
    if (!this.#owesDrain) return
    this.#owesDrain = false
    this.owner?.drained()
  }
}
