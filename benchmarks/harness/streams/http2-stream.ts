import net from 'node:net'
import { loopback } from './loopback.ts'
import { liveUrl, type SocketStreamParts } from './socket-stream.ts'

/** Types of HTTP/2's frames, and two flags. */
const frame = { data: 0, headers: 1, reset: 3, settings: 4, goAway: 7, windowUpdate: 8 } as const
const isAcknowledgement = 1
const endsHeadersAndStream = 5
const headBytes = 9
const largestWindow = 0x7fffffff
/** Field `:status: 200` in HPACK's static table. */
const statusOk = 0x88

/** Requests a stream over HTTP/2 on a connection of its own. It parses no more than the frames around the data. */
export class Http2Stream {
  readonly socket: net.Socket
  hasHead = false
  readonly #parts: SocketStreamParts
  readonly #head = Buffer.alloc(headBytes)
  #headLength = 0
  #type = 0
  /** Remaining bytes of the present frame's payload. */
  #remaining = 0
  #isOver = false

  constructor (parts: SocketStreamParts) {
    this.#parts = parts
    const { target, buffer } = parts
    this.socket = net.connect({ port: target.port, host: loopback, onread: { buffer, callback: (length) => this.#read(buffer, length) } })
    this.socket.on('connect', () => this.socket.write(encodeRequest(parts)))
    this.socket.on('error', (error) => this.#fail(error.message))
    this.socket.on('close', () => this.#fail('closed by the server'))
  }

  #read (bytes: Buffer, length: number): boolean {
    let at = 0
    while (at < length) {
      if (this.#remaining === 0) {
        const part = Math.min(headBytes - this.#headLength, length - at)
        bytes.copy(this.#head, this.#headLength, at, at + part)
        at += part
        this.#headLength += part
        if (this.#headLength === headBytes) this.#begin()
        continue
      }
      const part = Math.min(this.#remaining, length - at)
      if (this.#type === frame.data) this.#parts.onBody(bytes.subarray(at, at + part), part)
      else if (this.#type === frame.headers && !this.hasHead) {
        this.hasHead = true
        if (bytes[at] !== statusOk) this.#fail('was not answered 200')
      }
      at += part
      this.#remaining -= part
    }
    return true
  }

  #begin (): void {
    this.#headLength = 0
    this.#remaining = this.#head.readUIntBE(0, 3)
    this.#type = this.#head[3]!
    if (this.#type === frame.reset || this.#type === frame.goAway) this.#fail('was ended by the server')
    if (this.#type === frame.settings && this.#head[4] !== isAcknowledgement) this.socket.write(encodeFrame(frame.settings, isAcknowledgement, 0, Buffer.alloc(0)))
  }

  #fail (reason: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#parts.onFault(reason)
  }
}

/** The connection's preface and the request. Its windows are the largest, so they never need an update in a run. */
function encodeRequest ({ target: { port, path = liveUrl, headers } }: SocketStreamParts): Buffer {
  const initialWindow = Buffer.from([0, 4, 0, 0, 0, 0])
  initialWindow.writeUInt32BE(largestWindow, 2)
  const more = Buffer.alloc(4)
  more.writeUInt32BE(largestWindow - 65_535)
  const fields = Object.entries(headers).flatMap(([name, value]) => [Buffer.from([0]), encodeText(name), encodeText(value)])
  return Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    encodeFrame(frame.settings, 0, 0, initialWindow),
    encodeFrame(frame.windowUpdate, 0, 0, more),
    // `:method: GET` and `:scheme: http`, then `:authority`, `:path` and all others as they are.
    encodeFrame(frame.headers, endsHeadersAndStream, 1, Buffer.concat([
      Buffer.from([0x82, 0x86, 1]), encodeText(`${loopback}:${port}`), Buffer.from([4]), encodeText(path), ...fields
    ]))
  ])
}

/** A text without compression, of fewer than 127 bytes. */
function encodeText (text: string): Buffer {
  return Buffer.from(String.fromCharCode(text.length) + text, 'latin1')
}

function encodeFrame (type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(headBytes)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}
