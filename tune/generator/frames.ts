/** Splits the text of a stream, in pieces of any size, into frames: the lines up to an empty one. */
export function frameSplitter (onFrame: (frame: string) => void): (bytes: Buffer) => void {
  // The protocol's text is UTF-8; a character that is cut in two would only matter to who shows it.
  let rest = ''
  return (bytes) => {
    rest += bytes.toString('latin1')
    const frames = rest.split('\n\n')
    rest = frames.pop()!
    for (const frame of frames) if (frame !== '') onFrame(frame)
  }
}
