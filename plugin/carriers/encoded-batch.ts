import { EncodedBytes } from './encoded-bytes.ts'

/** Text of one or more frames, encoded once for all streams that write it. */
export class EncodedBatch extends EncodedBytes {
  readonly text: string
  /** Whether other streams write the same batch, so that its forms are worth keeping. */
  readonly isShared: boolean
  /** Whether it may be deflated: it has no session's id, and text of one audience only. */
  readonly isDeflatable: boolean
  /** Number of streams that have written only some of its parts; the plugin's total counts it once. */
  holders = 0
  #bytes: Buffer | null
  /** The parts, by size, then by index. */
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

  /** Approximate memory in bytes: its text and its encoded bytes. */
  get weight (): number {
    return this.text.length + this.bytes.length
  }

  /** At most `size` bytes from `index * size` on. */
  part (index: number, size: number): EncodedBatch {
    if (!this.isShared) return this.#cut(index, size)
    this.#parts ??= new Map()
    let parts = this.#parts.get(size)
    if (parts === undefined) this.#parts.set(size, parts = [])
    return parts[index] ??= this.#cut(index, size)
  }

  #cut (index: number, size: number): EncodedBatch {
    return new EncodedBatch('', this.isShared, this.isDeflatable, this.bytes.subarray(index * size, (index + 1) * size))
  }
}
