import { crc32 } from 'node:zlib'
import { defaults } from '../schemas/defaults.ts'
import type { Compression } from './compression.ts'
import { crc32Shift } from './crc32.ts'
import { deflateBlock, storeBlock, type GzipBlock } from './gzip-block.ts'

/** A run as blocks that fit into any gzip stream, with what each stream's trailer needs to know of them. */
export class SplicedRun {
  readonly crc: number
  /** What its length does to the CRC-32 of what precedes it. */
  readonly shift: number
  readonly length: number
  readonly #text: Buffer
  #block: GzipBlock | null = null
  /** Whether another look may give something shorter. */
  #isOpen = true
  #takers = 0

  constructor (text: Buffer) {
    this.#text = text
    this.length = text.length
    this.crc = crc32(text)
    this.shift = crc32Shift(text.length)
  }

  /**
   * Deflated once for all, as soon as two want it; for a single one only within the
   * allowance, since then it is no different from that one's own text.
   */
  block (compression: Compression): GzipBlock {
    if (!this.#isOpen) return this.#block!
    this.#takers++
    if (this.length < defaults.fixed.storedBelowBytes) {
      this.#isOpen = false
      return this.#block = storeBlock(this.#text)
    }
    if (this.#takers === 1 && !compression.allowance.has()) return this.#block = storeBlock(this.#text)
    this.#isOpen = false
    const startedAt = performance.now()
    const block = this.#block = deflateBlock(this.#text, defaults.fixed.deflateLevel)
    if (this.#takers === 1) compression.allowance.spend(startedAt)
    compression.countRun(this.length, block.bytes.length)
    return block
  }
}
