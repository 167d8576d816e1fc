/**
 * Writes a key as one part of a JSON pointer.
 *
 * @see RFC 6901, section 3
 */
export function escapePointer (key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}

/** Reads a key back from its part of a JSON pointer. */
export function unescapePointer (part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~')
}
