import { crc32 } from 'node:zlib'
import type { Compression } from './compression.ts'
import { crc32Shift } from './crc32.ts'
import { ChainLink, type ChainPosition } from './deflate-chain.ts'
import { deflateBlock, storeBlock, type GzipBlock } from './gzip-block.ts'

/**
 * A batch as a block for many gzip streams, with its part of each stream's trailer. The block
 * has two forms, each made once. The first stands alone and fits any stream. The second refers
 * to the batches before it, and fits streams whose text ends with those batches. Small batches
 * gain most of their compression from the second form.
 */
export class SharedDeflate {
  readonly crc: number
  /** The {@link crc32Shift} of its length. */
  readonly shift: number
  readonly length: number
  readonly #text: Buffer
  readonly #link = new ChainLink()
  #alone: GzipBlock | null = null
  #chained: GzipBlock | null = null
  /** Link of the batch to which the second form refers. */
  #base: ChainLink | null = null
  #takers = 0

  constructor (text: Buffer) {
    this.#text = text
    this.length = text.length
    this.crc = crc32(text)
    this.shift = crc32Shift(text.length)
  }

  /** Returns the block for a stream at `position`, and moves `position` to the end of this batch. */
  take (position: ChainPosition, compression: Compression): GzipBlock {
    this.#takers++
    const block = this.#chainedAt(position, compression) ?? this.#standingAlone(compression)
    position.bytes = this.#base !== null && position.link === this.#base ? position.bytes + this.length : this.length
    position.link = this.#link
    // A single stream would share the tail with nobody.
    if (this.#takers === 2) this.#link.tail = this.#makeTail(compression.limits.chainBytes)
    return block
  }

  #chainedAt (position: ChainPosition, compression: Compression): GzipBlock | null {
    if (this.#base !== null) return position.endsWith(this.#base) ? this.#chained : null
    const { link } = position
    // The second stream fixes the tail, so the third comes too late for a second form.
    if (link === null || !position.endsWith(link) || this.#takers > 2 || this.length < compression.limits.chainedStoredBelowBytes) return null
    if (!this.#mayDeflate(compression)) return null
    this.#base = link
    return this.#chained = this.#deflate(compression, link.tail!)
  }

  #standingAlone (compression: Compression): GzipBlock {
    if (this.#alone !== null) return this.#alone
    if (this.length < compression.limits.storedBelowBytes) return this.#alone = storeBlock(this.#text)
    if (!this.#mayDeflate(compression)) return storeBlock(this.#text)
    return this.#alone = this.#deflate(compression)
  }

  /**
   * Allows every deflate from the second stream on. For the first stream the allowance decides,
   * as for private text.
   */
  #mayDeflate (compression: Compression): boolean {
    return this.#takers > 1 || compression.allowance.has()
  }

  #deflate (compression: Compression, tail?: Buffer): GzipBlock {
    const startedAt = performance.now()
    const block = deflateBlock(this.#text, compression.limits.deflateLevel, tail)
    if (this.#takers === 1) compression.allowance.spend(startedAt)
    compression.countBatch(this.length, block.bytes.length)
    return block
  }

  #makeTail (chainBytes: number): Buffer {
    const before = this.#base?.tail
    if (before === undefined || before === null || this.length >= chainBytes) return Buffer.from(this.#text.subarray(-chainBytes))
    return Buffer.concat([before.subarray(Math.max(0, before.length + this.length - chainBytes)), this.#text])
  }
}

/** The form of bytes for gzip streams. */
export function shareDeflate (bytes: Buffer): SharedDeflate {
  return new SharedDeflate(bytes)
}
