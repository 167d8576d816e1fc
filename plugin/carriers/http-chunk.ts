/** The line end behind a chunk. */
export const chunkEnd = '\r\n'

/** The line before a chunk of `bytes`. @see RFC 9112, section 7.1 */
export function chunkHead (bytes: number): string {
  return `${bytes.toString(16)}\r\n`
}

/** Bytes as one chunk of an HTTP/1.1 body. */
export function frameChunk (bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(chunkHead(bytes.length), 'latin1'), bytes, Buffer.from(chunkEnd, 'latin1')])
}
