/** Most bytes in one stored block. @see RFC 1951, section 3.2.4 */
export const storedBytes = 65_535

/** Length of what precedes a stored block's bytes, where it begins on a byte of its own. */
export const storedHeadBytes = 5

/**
 * Begins a gzip stream: deflate, no name, no time, an operating system not told of.
 * Bytes as characters, since it mostly goes before text.
 *
 * @see RFC 1952, section 2.3
 */
export const gzipHead = '\x1f\x8b\x08\0\0\0\0\0\0\xff'

/** What precedes so many bytes in a stored block that is not the last; bytes as characters. */
export function storedHead (bytes: number): string {
  const inverse = bytes ^ 0xffff
  return String.fromCharCode(0, bytes & 0xff, bytes >>> 8, inverse & 0xff, inverse >>> 8)
}

/**
 * An empty stored block; bytes as characters. Behind it some decoders (Go's, and so
 * Caddy's) give out what they have; they keep the text of other stored blocks back.
 * Deflate's own flush ends with one as well.
 */
export const flushMark = '\0\0\0\xff\xff'

/** Any number of bytes in as many stored blocks as they need, and a {@link flushMark}. */
export function storedBlocks (bytes: Buffer): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; at += storedBytes) {
    const piece = bytes.subarray(at, at + storedBytes)
    pieces.push(Buffer.from(storedHead(piece.length), 'latin1'), piece)
  }
  pieces.push(Buffer.from(flushMark, 'latin1'))
  return Buffer.concat(pieces)
}

/** Ends a gzip stream: an empty last block, the CRC-32 of all its text and its length; bytes as characters. */
export function gzipTrailer (crc: number, length: number): string {
  return `\x03\0${littleEndian(crc)}${littleEndian(length)}`
}

// Both are modulo 2³², as a shift takes them.
function littleEndian (value: number): string {
  return String.fromCharCode(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff)
}
