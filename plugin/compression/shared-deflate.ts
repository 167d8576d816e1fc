import { crc32 } from 'node:zlib'
import type { Compression } from './compression.ts'
import { crc32Shift } from './crc32.ts'
import { ChainLink, type ChainPlace } from './deflate-chain.ts'
import { deflateBlock, storeBlock, type GzipBlock } from './gzip-block.ts'

/**
 * A run as blocks for anybody's gzip stream, with what each stream's trailer needs
 * to know of them. There are two forms, each made once. One needs nothing before
 * it and fits everywhere. The other refers to the runs before it, for the streams
 * that got those too and nothing since: small runs gain most of their shortness so.
 */
export class SharedDeflate {
  readonly crc: number
  /** What its length does to the CRC-32 of what precedes it. */
  readonly shift: number
  readonly length: number
  readonly #text: Buffer
  readonly #link = new ChainLink()
  #alone: GzipBlock | null = null
  #chained: GzipBlock | null = null
  /** Of the run that the second form follows. */
  #base: ChainLink | null = null
  #takers = 0

  constructor (text: Buffer) {
    this.#text = text
    this.length = text.length
    this.crc = crc32(text)
    this.shift = crc32Shift(text.length)
  }

  /** The form that suits a stream at this place, which it moves on. */
  take (place: ChainPlace, compression: Compression): GzipBlock {
    this.#takers++
    const block = this.#chainedAt(place, compression) ?? this.#standingAlone(compression)
    place.bytes = this.#base !== null && place.link === this.#base ? place.bytes + this.length : this.length
    place.link = this.#link
    // With one there is nobody to share it with, and each would keep a tail of its own.
    if (this.#takers === 2) this.#link.tail = this.#makeTail(compression.limits.chainBytes)
    return block
  }

  #chainedAt (place: ChainPlace, compression: Compression): GzipBlock | null {
    if (this.#base !== null) return place.endsWith(this.#base) ? this.#chained : null
    const { link } = place
    // The third comes too late: the tail tells by now what this run follows.
    if (link === null || !place.endsWith(link) || this.#takers > 2 || this.length < compression.limits.chainedStoredBelowBytes) return null
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
   * As soon as two want it, always. For a single one only within the allowance,
   * since then it is no different from that one's own text.
   */
  #mayDeflate (compression: Compression): boolean {
    return this.#takers > 1 || compression.allowance.has()
  }

  #deflate (compression: Compression, tail?: Buffer): GzipBlock {
    const startedAt = performance.now()
    const block = deflateBlock(this.#text, compression.limits.deflateLevel, tail)
    if (this.#takers === 1) compression.allowance.spend(startedAt)
    compression.countRun(this.length, block.bytes.length)
    return block
  }

  #makeTail (chainBytes: number): Buffer {
    const before = this.#base?.tail
    if (before === undefined || before === null || this.length >= chainBytes) return Buffer.from(this.#text.subarray(-chainBytes))
    return Buffer.concat([before.subarray(Math.max(0, before.length + this.length - chainBytes)), this.#text])
  }
}

/** Bytes as blocks for anybody's gzip stream. */
export function shareDeflate (bytes: Buffer): SharedDeflate {
  return new SharedDeflate(bytes)
}
