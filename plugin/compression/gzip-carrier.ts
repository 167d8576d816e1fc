import { crc32 } from 'node:zlib'
import type { Carrier, CarrierOwner, Protocol } from '../carriers/carrier.ts'
import type { EncodedBatch } from '../carriers/encoded-batch.ts'
import type { ByteCarrier } from '../carriers/http-carrier.ts'
import type { StreamCompression } from '../carriers/stream-compression.ts'
import type { Compression } from './compression.ts'
import { combineCrc32 } from './crc32.ts'
import { ChainPosition } from './deflate-chain.ts'
import { deflateBlock, GzipBlock, storeBlock } from './gzip-block.ts'
import { flushMark, gzipHead, gzipTrailer, storedBytes, storedHead, storedHeadBytes } from './gzip-format.ts'
import { shareDeflate } from './shared-deflate.ts'
import { SlidingWindow } from './sliding-window.ts'

/** Least gain of deflating a private text. After a smaller gain, the next texts are stored without a try. */
const leastGain = 1 / 8
const untriedAfterNoGain = 15

/** Bytes of the stream's head and of one stored block's framing. */
const mostAroundPiece = gzipHead.length + storedHeadBytes + flushMark.length

/**
 * Makes one gzip stream.
 *
 * Without a window, a shared batch is a block that was made once for all streams, and private
 * text gets blocks of its own. So text of two audiences is never deflated together, and a
 * session's id is never deflated. The carrier keeps no compressor, only the CRC-32, the length
 * and the last batch.
 *
 * With a window, the carrier deflates all text for this stream alone, and each block may refer
 * to the text in the window. This compresses nearly as well as a compressor per stream. It is
 * synchronous, so order, back-pressure and the one write per turn stay those of the response.
 */
export class GzipCarrier implements Carrier, StreamCompression {
  readonly encoding = 'gzip'
  readonly #response: ByteCarrier
  readonly #compression: Compression
  readonly #window: SlidingWindow | null
  readonly #position = new ChainPosition()
  #crc = 0
  #bytesBefore = 0
  #bytesAfter = 0
  /** Number of private texts still to store without a try. */
  #untried = 0

  constructor (response: ByteCarrier, compression: Compression, windowBytes: number) {
    this.#response = response
    this.#compression = compression
    this.#window = windowBytes === 0 ? null : new SlidingWindow(windowBytes)
  }

  get protocol (): Protocol { return this.#response.protocol }
  get opensAtOnce (): boolean { return this.#response.opensAtOnce }
  // A stored piece and its framing must fit into one write.
  get pieceBytes (): number { return this.#response.pieceBytes - mostAroundPiece }
  get queuedBytes (): number { return this.#response.queuedBytes }
  get compression (): StreamCompression { return this }
  get own (): boolean { return this.#window !== null }
  get bytesBefore (): number { return this.#bytesBefore }
  get bytesAfter (): number { return this.#bytesAfter }
  get splices (): boolean { return this.#window === null }

  attach (owner: CarrierOwner): void {
    this.#response.attach(owner)
  }

  writeText (text: string, bytes: number, isDeflatable = false): boolean {
    if (this.#window !== null) return this.#writeOwn(Buffer.from(text))
    if (isDeflatable && bytes >= this.#compression.limits.privateDeflateBytes && this.#mayDeflate()) {
      return this.#writePrivate(Buffer.from(text))
    }
    // Text with one byte a character is stored without encoding.
    if (text.length !== bytes || bytes > storedBytes) return this.#writeStored(Buffer.from(text))
    this.#crc = crc32(text, this.#crc)
    this.#position.leave()
    const head = this.#head()
    const around = storedHeadBytes + flushMark.length
    this.#count(bytes, bytes + around)
    this.#compression.stats.storedBlocks++
    return this.#response.writeText(head + storedHead(bytes) + text + flushMark, head.length + around + bytes)
  }

  writeBatch (batch: EncodedBatch): boolean {
    if (this.#window !== null) return this.#writeOwn(batch.bytes)
    const spliced = batch.as(shareDeflate)
    const block = spliced.take(this.#position, this.#compression)
    this.#crc = combineCrc32(this.#crc, spliced.crc, spliced.shift)
    if (block.isDeflated) this.#compression.stats.sharedBlocks++
    else this.#compression.stats.storedBlocks++
    return this.#writeBlock(spliced.length, block)
  }

  writePart (part: EncodedBatch): boolean {
    if (part.isShared) return this.writeBatch(part)
    if (this.#window !== null) return this.#writeOwn(part.bytes)
    return part.isDeflatable && this.#mayDeflate() ? this.#writePrivate(part.bytes) : this.#writeStored(part.bytes)
  }

  together (write: () => void): void {
    this.#response.cork()
    try {
      write()
    } finally {
      this.#response.uncork()
    }
  }

  watchDrain (): void {
    this.#response.watchDrain()
  }

  beat (): boolean {
    return this.#response.beat()
  }

  close (): void {
    const trailer = gzipTrailer(this.#crc, this.#bytesBefore)
    const end = this.#head() + trailer
    this.#count(0, trailer.length)
    this.#response.writeText(end, end.length)
    this.#response.close()
  }

  destroy (): void {
    this.#response.destroy()
  }

  #mayDeflate (): boolean {
    if (this.#untried > 0) {
      this.#untried--
      return false
    }
    return this.#compression.allowance.has()
  }

  #writePrivate (text: Buffer): boolean {
    const { allowance, limits } = this.#compression
    const startedAt = performance.now()
    const block = deflateBlock(text, limits.privateDeflateLevel)
    allowance.spend(startedAt)
    if (block.bytes.length > text.length * (1 - leastGain)) this.#untried = untriedAfterNoGain
    return this.#writeOwnBlock(text, block)
  }

  #writeOwn (text: Buffer): boolean {
    const window = this.#window!
    const { ownStoredBelowBytes, deflateLevel } = this.#compression.limits
    const block = text.length < ownStoredBelowBytes
      ? storeBlock(text)
      : deflateBlock(text, deflateLevel, window.bytes)
    window.push(text)
    return this.#writeOwnBlock(text, block)
  }

  #writeStored (text: Buffer): boolean {
    return this.#writeOwnBlock(text, storeBlock(text))
  }

  #writeOwnBlock (text: Buffer, block: GzipBlock): boolean {
    this.#crc = crc32(text, this.#crc)
    this.#position.leave()
    if (block.isDeflated) this.#compression.stats.privateBlocks++
    else this.#compression.stats.storedBlocks++
    return this.#writeBlock(text.length, block)
  }

  #writeBlock (bytesBefore: number, block: GzipBlock): boolean {
    const head = this.#head()
    this.#count(bytesBefore, block.bytes.length)
    if (head === '') return this.#response.writeBatch(block)
    return this.#response.writeBatch(new GzipBlock(Buffer.concat([Buffer.from(head, 'latin1'), block.bytes]), block.isDeflated))
  }

  /** The head of the gzip stream for its first write; empty for later writes. */
  #head (): string {
    if (this.#bytesAfter > 0) return ''
    this.#count(0, gzipHead.length)
    return gzipHead
  }

  #count (bytesBefore: number, bytesAfter: number): void {
    this.#bytesBefore += bytesBefore
    this.#bytesAfter += bytesAfter
    const { stats } = this.#compression
    stats.bytesBefore += bytesBefore
    stats.bytesAfter += bytesAfter
  }
}
