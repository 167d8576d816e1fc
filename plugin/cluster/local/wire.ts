/** What travels between a node and its hub, and what a hub writes to its file. */
export type WireValue = null | boolean | number | string | Buffer | readonly WireValue[]

/** Thrown for bytes that are no frame. Whoever sent them is not to be trusted any more. */
export class WireError extends Error {}

const tags = { null: 0, false: 1, true: 2, number: 3, text: 4, bytes: 5, list: 6 } as const
const headBytes = 4
/** A deeper list is no frame of ours. */
const deepest = 4

/** Encodes a value as a frame: its length in four bytes, and the value. */
export function encodeFrame (value: WireValue): Buffer {
  const size = sizeOf(value)
  const frame = Buffer.allocUnsafe(headBytes + size)
  frame.writeUInt32BE(size, 0)
  write(frame, headBytes, value)
  return frame
}

function sizeOf (value: WireValue): number {
  if (value === null || typeof value === 'boolean') return 1
  if (typeof value === 'number') return 9
  if (typeof value === 'string') return 5 + Buffer.byteLength(value)
  if (Buffer.isBuffer(value)) return 5 + value.length
  let size = 5
  for (const part of value) size += sizeOf(part)
  return size
}

/** @returns the place behind the value */
function write (frame: Buffer, at: number, value: WireValue): number {
  if (value === null) return frame.writeUInt8(tags.null, at)
  if (typeof value === 'boolean') return frame.writeUInt8(value ? tags.true : tags.false, at)
  if (typeof value === 'number') return frame.writeDoubleBE(value, frame.writeUInt8(tags.number, at))
  if (typeof value === 'string') {
    frame.writeUInt8(tags.text, at)
    const length = frame.write(value, at + 5)
    frame.writeUInt32BE(length, at + 1)
    return at + 5 + length
  }
  if (Buffer.isBuffer(value)) {
    const from = frame.writeUInt32BE(value.length, frame.writeUInt8(tags.bytes, at))
    return from + value.copy(frame, from)
  }
  let place = frame.writeUInt32BE(value.length, frame.writeUInt8(tags.list, at))
  for (const part of value) place = write(frame, place, part)
  return place
}

/** Reads one value. Its buffers are copies, so that they keep no larger buffer alive. */
class ValueReader {
  readonly #bytes: Buffer
  #at: number
  readonly #end: number

  constructor (bytes: Buffer, from: number, end: number) {
    this.#bytes = bytes
    this.#at = from
    this.#end = end
  }

  all (): WireValue {
    const value = this.#value(0)
    if (this.#at !== this.#end) throw new WireError('a frame goes on behind its value')
    return value
  }

  #value (depth: number): WireValue {
    const tag = this.#bytes[this.#take(1)]
    switch (tag) {
      case tags.null: return null
      case tags.false: return false
      case tags.true: return true
      case tags.number: return this.#bytes.readDoubleBE(this.#take(8))
      case tags.text: {
        const length = this.#bytes.readUInt32BE(this.#take(4))
        const from = this.#take(length)
        return this.#bytes.toString('utf8', from, from + length)
      }
      case tags.bytes: {
        const length = this.#bytes.readUInt32BE(this.#take(4))
        const from = this.#take(length)
        return Buffer.from(this.#bytes.subarray(from, from + length))
      }
      case tags.list: {
        if (depth === deepest) throw new WireError('a frame with lists too deep')
        const length = this.#bytes.readUInt32BE(this.#take(4))
        // Each part takes a byte at least.
        if (length > this.#end - this.#at) throw new WireError('a list longer than its frame')
        const list: WireValue[] = []
        for (let part = 0; part < length; part++) list.push(this.#value(depth + 1))
        return list
      }
      default: throw new WireError(`a value of an unknown kind, ${tag}`)
    }
  }

  #take (length: number): number {
    const from = this.#at
    if (length > this.#end - from) throw new WireError('a value longer than its frame')
    this.#at += length
    return from
  }
}

/** Cuts a stream of bytes, in pieces of any size, into frames. */
export class FrameReader {
  readonly #maxBytes: number
  #pieces: Buffer[] = []
  #length = 0
  /** Bytes that the next frame takes, its head included; null while the head is not there. */
  #wanted: number | null = null

  constructor (maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Bytes of a frame that is not complete. */
  get rest (): number { return this.#length }

  /**
   * Adds a piece, and gives the values of the frames that are complete.
   *
   * @throws WireError
   */
  * read (piece: Buffer): Generator<WireValue> {
    this.#pieces.push(piece)
    this.#length += piece.length
    for (;;) {
      if (this.#wanted === null) {
        if (this.#length < headBytes) return
        const size = this.#joined().readUInt32BE(0)
        if (size === 0 || size > this.#maxBytes) throw new WireError(`a frame of ${size} bytes, of at most ${this.#maxBytes}`)
        this.#wanted = headBytes + size
      }
      if (this.#length < this.#wanted) return
      const bytes = this.#joined()
      const end = this.#wanted
      this.#wanted = null
      this.#length -= end
      this.#pieces = this.#length === 0 ? [] : [bytes.subarray(end)]
      yield new ValueReader(bytes, headBytes, end).all()
    }
  }

  // Pieces of a large frame are joined once, when the last one is there.
  #joined (): Buffer {
    if (this.#pieces.length > 1) this.#pieces = [Buffer.concat(this.#pieces, this.#length)]
    return this.#pieces[0]!
  }
}

/** Longest run of frames that is copied into one buffer. Larger ones are written as they are. */
const joinedBytes = 65_536

/** Frames of one turn, for one write of a socket. */
export class FrameQueue {
  #frames: Buffer[] = []
  #bytes = 0

  get bytes (): number { return this.#bytes }

  add (frame: Buffer): void {
    this.#frames.push(frame)
    this.#bytes += frame.length
  }

  /** Takes the frames, the small ones joined. */
  take (): Buffer[] {
    const frames = this.#frames
    if (frames.length > 1 && this.#bytes <= joinedBytes) {
      const joined = Buffer.concat(frames, this.#bytes)
      this.clear()
      return [joined]
    }
    this.clear()
    return frames
  }

  clear (): void {
    this.#frames = []
    this.#bytes = 0
  }
}
