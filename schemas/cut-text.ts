/** Cuts a text to at most `bytes` bytes of JSON. A cut text ends in `…`. */
export function cutText (text: string, bytes: number): string {
  // A character takes at most six bytes (as an escape).
  if (text.length * 6 <= bytes) return text
  let length = 0
  let left = bytes
  for (const character of text) {
    left -= jsonBytes(character)
    if (left < 0) return `${text.slice(0, length)}…`
    length += character.length
  }
  return text
}

/** Number of bytes of a text in JSON, without its quotes. */
export function jsonBytes (text: string): number {
  let bytes = 0
  for (const character of text) {
    const point = character.codePointAt(0)!
    if (point < 0x80) bytes += JSON.stringify(character).length - 2
    else if (point < 0x800) bytes += 2
    // JSON writes an unpaired surrogate as an escape.
    else if (point >= 0xd800 && point <= 0xdfff) bytes += 6
    else bytes += point < 0x10000 ? 3 : 4
  }
  return bytes
}
