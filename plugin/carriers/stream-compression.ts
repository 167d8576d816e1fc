/** Encodings that a response may have. */
export type Encoding = 'gzip' | 'br' | 'zstd'

/** What became of one stream's text. */
export interface StreamCompression {
  readonly encoding: Encoding
  /** Whether it has a compressor of its own. */
  readonly own: boolean
  /** Bytes of text. */
  readonly bytesBefore: number
  /** Bytes that they became. */
  readonly bytesAfter: number
}

/** The figures as they are now. */
export function copyCompression (compression: StreamCompression | null): StreamCompression | null {
  if (compression === null) return null
  const { encoding, own, bytesBefore, bytesAfter } = compression
  return { encoding, own, bytesBefore, bytesAfter }
}
