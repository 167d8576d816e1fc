import { brotliDecompressSync, constants, gunzipSync } from 'node:zlib'
import { SocketStream } from '../streams/socket-stream.ts'
import { mark } from './frame-counter.ts'
import type { Reader, ReaderParts } from './frame-reader.ts'

const readBuffer = Buffer.allocUnsafeSlow(256 * 1024)
const carriageReturn = 13
const lineFeed = 10
const markByte = mark.charCodeAt(0)

/**
 * Counts the chunks of a body, which costs the same whatever they hold. A server writes one chunk for a tick, and
 * one when a stream opens.
 */
export class ChunkReader implements Reader {
  isOpen = false
  units = 0
  /** Bytes of the body, without the framing of chunks. */
  bytes = 0
  readonly #onUnits: (units: number) => void
  readonly #stream: SocketStream
  /** Remaining bytes of the present chunk and its line end; 0 before the next size. */
  #remaining = 0
  #size = 0
  /** The whole body, if it is kept for decoding at the end. */
  readonly #kept: Buffer[] | null

  constructor ({ target, onUnits, onFault }: ReaderParts, keeps: boolean) {
    this.#onUnits = onUnits
    this.#kept = keeps ? [] : null
    this.#stream = new SocketStream({ target, buffer: readBuffer, onFault, onBody: (bytes, length) => this.#read(bytes, length) })
  }

  /** Frames in the whole body so far; null where it was not kept. */
  countFrames (): number | null {
    if (this.#kept === null) return null
    const text = decode(Buffer.concat(this.#kept), /content-encoding: (\w+)/i.exec(this.#stream.head)?.[1])
    let frames = 0
    for (const byte of text) if (byte === markByte) frames += 1
    return frames
  }

  #read (bytes: Buffer, length: number): true {
    let at = 0
    let ended = 0
    while (at < length) {
      if (this.#remaining === 0) {
        const byte = bytes[at++]!
        if (byte === lineFeed) this.#remaining = this.#size + 2
        else if (byte !== carriageReturn) this.#size = this.#size * 16 + digit(byte)
        continue
      }
      const taken = Math.min(this.#remaining, length - at)
      const payload = Math.max(0, Math.min(taken, this.#remaining - 2))
      this.bytes += payload
      if (this.#kept !== null && payload > 0) this.#kept.push(Buffer.from(bytes.subarray(at, at + payload)))
      at += taken
      this.#remaining -= taken
      if (this.#remaining > 0) continue
      this.#size = 0
      ended += 1
    }
    if (ended > 0) {
      this.isOpen = true
      this.units += ended
      this.#onUnits(ended)
    }
    return true
  }
}

function digit (byte: number): number {
  return byte < 58 ? byte - 48 : (byte | 32) - 87
}

/** Decodes the present part of an unfinished stream. */
function decode (body: Buffer, encoding: string | undefined): Buffer {
  if (encoding === 'gzip') return gunzipSync(body, { finishFlush: constants.Z_SYNC_FLUSH })
  if (encoding === 'br') return brotliDecompressSync(body, { finishFlush: constants.BROTLI_OPERATION_FLUSH })
  return body
}
