import type { Transform } from 'node:stream'
import * as zlib from 'node:zlib'

/** The decoder of one content encoding. */
export interface ContentDecoder {
  /** Decodes piece by piece. The text comes a little later than its bytes. */
  stream: () => Transform
  /** Decodes all at once. Throws if the bytes are incomplete; with `cut`, they may end anywhere. */
  whole: (bytes: Buffer, cut: boolean) => Buffer
}

interface ZstdOfNewerNode {
  createZstdDecompress: () => Transform
  zstdDecompressSync: (bytes: Buffer, options?: { finishFlush?: number }) => Buffer
  constants: Record<'ZSTD_e_flush', number>
}

/** The decoder of an encoding; null for a body without one. */
export function contentDecoder (encoding: string | undefined): ContentDecoder | null {
  const { constants } = zlib
  switch (encoding) {
    case undefined:
    case 'identity':
      return null
    case 'gzip':
      return {
        stream: () => zlib.createGunzip(),
        whole: (bytes, cut) => zlib.gunzipSync(bytes, cut ? { finishFlush: constants.Z_SYNC_FLUSH } : {})
      }
    case 'br':
      return {
        stream: () => zlib.createBrotliDecompress(),
        whole: (bytes, cut) => zlib.brotliDecompressSync(bytes, cut ? { finishFlush: constants.BROTLI_OPERATION_FLUSH } : {})
      }
    case 'zstd': {
      const newer = zlib as unknown as ZstdOfNewerNode
      return {
        stream: () => newer.createZstdDecompress(),
        whole: (bytes, cut) => newer.zstdDecompressSync(bytes, cut ? { finishFlush: newer.constants.ZSTD_e_flush } : {})
      }
    }
    default:
      throw new Error(`nobody asked for the encoding ${encoding}`)
  }
}
