import { constants, deflateRawSync } from 'node:zlib'
import { EncodedBytes } from '../carriers/encoded-bytes.ts'
import { flushMark, storedBlocks, storedBytes, storedHeadBytes } from './gzip-format.ts'

/** Room for deflate's own bytes around a text that it cannot shrink. */
const overheadBytes = 64
/** Node's default size of one output buffer. */
const mostChunkBytes = 16_384

/** A part of a gzip stream, not the last, that begins and ends on a byte boundary. */
export class GzipBlock extends EncodedBytes {
  readonly bytes: Buffer
  readonly isDeflated: boolean

  constructor (bytes: Buffer, isDeflated: boolean) {
    super()
    this.bytes = bytes
    this.isDeflated = isDeflated
  }
}

export function storeBlock (text: Buffer): GzipBlock {
  return new GzipBlock(storedBlocks(text), false)
}

/**
 * Deflates a text, or stores it if that is shorter.
 *
 * @param window the text before it in the stream, to which the block may refer
 */
export function deflateBlock (text: Buffer, level: number, window?: Buffer): GzipBlock {
  const deflated = deflateRawSync(text, {
    level,
    finishFlush: constants.Z_FULL_FLUSH,
    chunkSize: Math.min(text.length + overheadBytes, mostChunkBytes),
    ...window === undefined || window.length === 0 ? {} : { dictionary: window }
  })
  const stored = text.length + Math.ceil(text.length / storedBytes) * storedHeadBytes + flushMark.length
  return deflated.length < stored ? new GzipBlock(deflated, true) : storeBlock(text)
}
