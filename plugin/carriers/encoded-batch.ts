import { frameChunk, type FramedBytes } from './http-chunk.ts'
import { SplicedRun } from '../compression/shared-deflate.ts'
import { frameHead } from './websocket-frame.ts'

/** Text made ready to be written to many streams: encoded once, framed once for each way to carry it, deflated once. */
export class EncodedRun implements FramedBytes {
  readonly text: string
  /** Whether others get the very same, so that what is made of it is worth keeping. */
  readonly isShared: boolean
  /** Whether it may be deflated: it holds no session's id, and nothing of one audience along with what is another's. */
  readonly isDeflatable: boolean
  /** Streams that have written a part of it and not all, for the plugin's total. */
  holders = 0
  #bytes: Buffer | null
  #chunk: Buffer | null = null
  #message: Buffer | null = null
  #spliced: SplicedRun | null = null
  /** By their size, then by their place. */
  #parts: Map<number, EncodedRun[]> | null = null

  constructor (text: string, isShared = true, isDeflatable = isShared, bytes: Buffer | null = null) {
    this.text = text
    this.isShared = isShared
    this.isDeflatable = isDeflatable
    this.#bytes = bytes
  }

  get bytes (): Buffer {
    return this.#bytes ??= Buffer.from(this.text)
  }

  /** Memory that it takes, about: the text, and the bytes of it. */
  get weight (): number {
    return this.text.length + this.bytes.length
  }

  /** The bytes as one chunk of an HTTP/1.1 body. */
  get chunk (): Buffer {
    return this.#chunk ??= frameChunk(this.bytes)
  }

  /** The bytes as blocks that fit into anybody's gzip stream. */
  get spliced (): SplicedRun {
    return this.#spliced ??= new SplicedRun(this.bytes)
  }

  /** The bytes from `place * size` on, as many as `size` or what is left. */
  part (place: number, size: number): EncodedRun {
    if (!this.isShared) return this.#cut(place, size)
    this.#parts ??= new Map()
    let parts = this.#parts.get(size)
    if (parts === undefined) this.#parts.set(size, parts = [])
    return parts[place] ??= this.#cut(place, size)
  }

  #cut (place: number, size: number): EncodedRun {
    return new EncodedRun('', this.isShared, this.isDeflatable, this.bytes.subarray(place * size, (place + 1) * size))
  }

  /** The bytes as one message of a WebSocket. */
  get message (): Buffer {
    return this.#message ??= Buffer.concat([Buffer.from(frameHead(this.bytes.length, 'whole'), 'latin1'), this.bytes])
  }
}
