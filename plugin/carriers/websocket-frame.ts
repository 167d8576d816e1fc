/** Place of a piece in its message. @see RFC 6455, section 5.2 */
export type Piece = 'whole' | 'first' | 'middle' | 'last'

const firstByte: Readonly<Record<Piece, number>> = Object.freeze({ whole: 0x81, first: 0x01, middle: 0x00, last: 0x80 })

/** The head of a text frame of `bytes`, unmasked as a server sends it. Each character stands for one byte. */
export function frameHead (bytes: number, piece: Piece): string {
  const first = firstByte[piece]
  if (bytes < 126) return String.fromCharCode(first, bytes)
  if (bytes < 65_536) return String.fromCharCode(first, 126, bytes >> 8, bytes & 255)
  return String.fromCharCode(first, 127, 0, 0, 0, 0, bytes >>> 24, (bytes >> 16) & 255, (bytes >> 8) & 255, bytes & 255)
}

/** Bytes as one text message. */
export function frameMessage (bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(frameHead(bytes.length, 'whole'), 'latin1'), bytes])
}
