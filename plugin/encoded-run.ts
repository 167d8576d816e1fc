import { frameHead } from './websocket-frame.ts'

const chunkEnd = '\r\n'

/** What precedes so many bytes in a body of chunks. @see RFC 9112, section 7.1 */
export function chunkHead (bytes: number): string {
  return `${bytes.toString(16)}\r\n`
}

/** Text made ready to be written to many streams: encoded once, and framed once for each way to carry it. */
export class EncodedRun {
  readonly #text: string
  #bytes: Buffer | null = null
  #chunk: Buffer | null = null
  #message: Buffer | null = null

  constructor (text: string) {
    this.#text = text
  }

  get bytes (): Buffer {
    return this.#bytes ??= Buffer.from(this.#text)
  }

  /** The bytes as one chunk of an HTTP/1.1 body. */
  get chunk (): Buffer {
    if (this.#chunk === null) {
      const { bytes } = this
      this.#chunk = Buffer.concat([Buffer.from(chunkHead(bytes.length)), bytes, Buffer.from(chunkEnd)])
    }
    return this.#chunk
  }

  /** The bytes as one message of a WebSocket. */
  get message (): Buffer {
    return this.#message ??= Buffer.concat([Buffer.from(frameHead(this.bytes.length, 'whole'), 'latin1'), this.bytes])
  }
}
