import type { Limits } from '../../schemas/limits.ts'
import { DeflateAllowance } from './deflate-allowance.ts'

/** What became of the text of all compressed streams. */
export interface CompressionStats {
  /** Compressed streams that are open now. */
  streams: number
  /** Of these, with a compressor of their own. */
  ownStreams: number
  /** Bytes set aside for those, of `maxCompressorBytes`. */
  compressorBytes: number
  /** Bytes of text that went into compressed streams. */
  bytesBefore: number
  /** Bytes that they became, HTTP's own framing not included. */
  bytesAfter: number
  /** Runs that were deflated once for many: how many, their bytes, and what these became. */
  runs: number
  runBytesBefore: number
  runBytesAfter: number
  /** Writes of such a run to one stream. */
  sharedBlocks: number
  /** Writes that were deflated for one stream alone. */
  privateBlocks: number
  /** Writes that left as they are, since they were too short, or deflating them gains nothing, or would cost too much. */
  storedBlocks: number
}

/** What all compressed streams of one registered plugin share. */
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

  /** Counts a stream that was opened, or, with -1, one that is over. */
  countStream (step: 1 | -1, ownBytes: number): void {
    this.stats.streams += step
    if (ownBytes > 0) this.stats.ownStreams += step
  }

  /** Sets memory aside for one more compressor; false when there is no room for it. */
  reserve (bytes: number): boolean {
    if (this.stats.compressorBytes + bytes > this.#maxCompressorBytes) return false
    this.stats.compressorBytes += bytes
    return true
  }

  release (bytes: number): void {
    this.stats.compressorBytes -= bytes
  }

  countRun (before: number, after: number): void {
    const { stats } = this
    stats.runs++
    stats.runBytesBefore += before
    stats.runBytesAfter += after
  }
}
