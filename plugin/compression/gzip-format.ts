/** Most bytes in one stored block. @see RFC 1951, section 3.2.4 */
export const storedBytes = 65_535

/** Bytes of a stored block's head, where it begins on a byte boundary. */
export const storedHeadBytes = 5

/**
 * The head of a gzip stream: deflate, no name, no time, operating system unknown.
 * Bytes as characters, since it mostly goes before text.
 *
 * @see RFC 1952, section 2.3
 */
export const gzipHead = '\x1f\x8b\x08\0\0\0\0\0\0\xff'

/** The head of a stored block of `bytes` that is not the last; bytes as characters. */
export function storedHead (bytes: number): string {
  const inverse = bytes ^ 0xffff
  return String.fromCharCode(0, bytes & 0xff, bytes >>> 8, inverse & 0xff, inverse >>> 8)
}

/**
 * An empty stored block; bytes as characters. Some decoders (Go's, and so Caddy's) hold
 * back the text of stored blocks until an empty one arrives. Deflate's own flush ends with one too.
 */
export const flushMark = '\0\0\0\xff\xff'

/** Bytes in stored blocks, and a {@link flushMark}. */
export function storedBlocks (bytes: Buffer): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; at += storedBytes) {
    const piece = bytes.subarray(at, at + storedBytes)
    pieces.push(Buffer.from(storedHead(piece.length), 'latin1'), piece)
  }
  pieces.push(Buffer.from(flushMark, 'latin1'))
  return Buffer.concat(pieces)
}

/** Ends a gzip stream: an empty last block, then the CRC-32 and the length of all its text; bytes as characters. */
export function gzipTrailer (crc: number, length: number): string {
  return `\x03\0${littleEndian(crc)}${littleEndian(length)}`
}

// Gzip takes both numbers modulo 2³², and so does a shift.
function littleEndian (value: number): string {
  return String.fromCharCode(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff)
}
