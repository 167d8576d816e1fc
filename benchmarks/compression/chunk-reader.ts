import net from 'node:net'
import { brotliDecompressSync, constants, gunzipSync } from 'node:zlib'
import { mark } from './sample.ts'

/** All sockets read into the same bytes, since each read is dealt with before the next. */
const readBuffer = Buffer.allocUnsafeSlow(256 * 1024)
const headEnd = Buffer.from('\r\n\r\n')
const lineFeed = 10
const markByte = mark.charCodeAt(0)

export interface ChunkReaderParts {
  readonly port: number
  readonly request: string
  /** Told of each read that ended so many chunks. */
  readonly onChunks: (chunks: number) => void
  readonly onFault: (reason: string) => void
}

/**
 * One plain socket that asks for a stream and counts the chunks of its body, which costs the same whatever
 * they hold. A server writes one chunk for a burst.
 */
export class ChunkReader {
  chunks = 0
  /** Of the body, the framing of its chunks not counted. */
  bytes = 0
  readonly #parts: ChunkReaderParts
  #head = ''
  #hasHead = false
  /** Of the present chunk and its line end; 0 before the next size. */
  #remaining = 0
  #size = 0
  /** The whole body, where it is kept to be decoded in the end. */
  #kept: Buffer[] | null

  constructor (parts: ChunkReaderParts, keeps: boolean) {
    this.#parts = parts
    this.#kept = keeps ? [] : null
    const socket = net.connect({
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
    socket.on('connect', () => socket.write(parts.request))
    socket.on('error', (error) => parts.onFault(error.message))
    socket.on('close', () => parts.onFault('closed by the server'))
  }

  /** Frames in the whole body so far; null where it was not kept. */
  countFrames (): number | null {
    if (this.#kept === null) return null
    const text = decode(Buffer.concat(this.#kept), /content-encoding: (\w+)/i.exec(this.#head)?.[1])
    let frames = 0
    for (const byte of text) if (byte === markByte) frames += 1
    return frames
  }

  #read (length: number): void {
    let at = 0
    if (!this.#hasHead) {
      at = this.#readHead(length)
      if (!this.#hasHead) return
    }
    let ended = 0
    while (at < length) {
      if (this.#remaining === 0) {
        const byte = readBuffer[at++]!
        if (byte === lineFeed) this.#remaining = this.#size + 2
        else if (byte !== 13) this.#size = this.#size * 16 + digit(byte)
        continue
      }
      const taken = Math.min(this.#remaining, length - at)
      const payload = Math.max(0, Math.min(taken, this.#remaining - 2))
      this.bytes += payload
      if (this.#kept !== null && payload > 0) this.#kept.push(Buffer.from(readBuffer.subarray(at, at + payload)))
      at += taken
      this.#remaining -= taken
      if (this.#remaining > 0) continue
      this.#size = 0
      ended += 1
    }
    if (ended === 0) return
    this.chunks += ended
    this.#parts.onChunks(ended)
  }

  #readHead (length: number): number {
    const end = readBuffer.subarray(0, length).indexOf(headEnd)
    this.#head += readBuffer.toString('latin1', 0, end === -1 ? length : end)
    if (end === -1) return length
    this.#hasHead = true
    if (!/^HTTP\/1\.1 200 /.test(this.#head)) this.#parts.onFault(`was answered ${JSON.stringify(this.#head)}`)
    return end + headEnd.length
  }
}

function digit (byte: number): number {
  return byte < 58 ? byte - 48 : (byte | 32) - 87
}

/** What there is of a stream that goes on. */
function decode (body: Buffer, encoding: string | undefined): Buffer {
  if (encoding === 'gzip') return gunzipSync(body, { finishFlush: constants.Z_SYNC_FLUSH })
  if (encoding === 'br') return brotliDecompressSync(body, { finishFlush: constants.BROTLI_OPERATION_FLUSH })
  return body
}
