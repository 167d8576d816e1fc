import type { Limits } from '../../schemas/limits.ts'
import { DeflateAllowance } from './deflate-allowance.ts'

/** Figures of all compressed streams. */
export interface CompressionStats {
  /** Compressed streams that are open now. */
  streams: number
  /** Open compressed streams with a compressor of their own. */
  ownStreams: number
  /** Bytes reserved for these compressors, out of `maxCompressorBytes`. */
  compressorBytes: number
  /** Bytes of text that went into compressed streams. */
  bytesBefore: number
  /** Bytes after compression, without HTTP's framing. */
  bytesAfter: number
  /** Batches that were deflated once for many streams: their number, their bytes before and after. */
  runs: number
  runBytesBefore: number
  runBytesAfter: number
  /** Writes of a shared batch to one stream. */
  sharedBlocks: number
  /** Writes that were deflated for one stream only. */
  privateBlocks: number
  /** Writes stored without compression: too short, without a gain, or beyond the allowance. */
  storedBlocks: number
}

/** Shared by all compressed streams of one registered plugin. */
export class Compression {
  readonly limits: Limits
  readonly allowance: DeflateAllowance
  readonly stats: CompressionStats = {
    streams: 0,
    ownStreams: 0,
    compressorBytes: 0,
    bytesBefore: 0,
    bytesAfter: 0,
    runs: 0,
    runBytesBefore: 0,
    runBytesAfter: 0,
    sharedBlocks: 0,
    privateBlocks: 0,
    storedBlocks: 0
  }

  readonly #maxCompressorBytes: number

  constructor (maxCompressorBytes: number, limits: Limits) {
    this.limits = limits
    this.allowance = new DeflateAllowance(limits.privateDeflateShare, limits.privateDeflateMs)
    this.#maxCompressorBytes = maxCompressorBytes
  }

  /** Counts an opened stream, or with -1 a closed one. */
  countStream (step: 1 | -1, ownBytes: number): void {
    this.stats.streams += step
    if (ownBytes > 0) this.stats.ownStreams += step
  }

  /** Reserves memory for one more compressor. Returns false when there is none left. */
  reserve (bytes: number): boolean {
    if (this.stats.compressorBytes + bytes > this.#maxCompressorBytes) return false
    this.stats.compressorBytes += bytes
    return true
  }

  release (bytes: number): void {
    this.stats.compressorBytes -= bytes
  }

  countBatch (before: number, after: number): void {
    const { stats } = this
    stats.runs++
    stats.runBytesBefore += before
    stats.runBytesAfter += after
  }
}
