/** Content encodings of a response. */
export type Encoding = 'gzip' | 'br' | 'zstd'

/** Compression figures of one stream. */
export interface StreamCompression {
  readonly encoding: Encoding
  /** Whether it has a compressor of its own. */
  readonly own: boolean
  /** Bytes of text. */
  readonly bytesBefore: number
  /** Bytes after compression. */
  readonly bytesAfter: number
}

/** A copy of the present figures. */
export function copyCompression (compression: StreamCompression | null): StreamCompression | null {
  if (compression === null) return null
  const { encoding, own, bytesBefore, bytesAfter } = compression
  return { encoding, own, bytesBefore, bytesAfter }
}
