import { EncodedBytes } from './encoded-bytes.ts'

/** Text of one or more frames, encoded once for all streams that write it. */
export class EncodedBatch extends EncodedBytes {
  readonly text: string
  /** Whether others get the very same, so that what is made of it is worth keeping. */
  readonly isShared: boolean
  /** Whether it may be deflated: it holds no session's id, and nothing of one audience along with what is another's. */
  readonly isDeflatable: boolean
  /** Streams that have written a part of it and not all, for the plugin's total. */
  holders = 0
  #bytes: Buffer | null
  /** By their size, then by their place. */
  #parts: Map<number, EncodedBatch[]> | null = null

  constructor (text: string, isShared = true, isDeflatable = isShared, bytes: Buffer | null = null) {
    super()
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

  /** The bytes from `place * size` on, as many as `size` or what is left. */
  part (place: number, size: number): EncodedBatch {
    if (!this.isShared) return this.#cut(place, size)
    this.#parts ??= new Map()
    let parts = this.#parts.get(size)
    if (parts === undefined) this.#parts.set(size, parts = [])
    return parts[place] ??= this.#cut(place, size)
  }

  #cut (place: number, size: number): EncodedBatch {
    return new EncodedBatch('', this.isShared, this.isDeflatable, this.bytes.subarray(place * size, (place + 1) * size))
  }
}
