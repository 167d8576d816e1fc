import { chunkEnd, chunkHead } from './http-chunk.ts'

/** Bytes of an `id:` line besides its prefix and its number: the field's name and the line end. */
export const idFieldBytes = 'id: \n'.length
const zero = '0'.charCodeAt(0)

interface Chunk {
  readonly bytes: Buffer
  /** Place of the first line behind the head. */
  readonly start: number
}

/** Decimal digits of a whole number from 0. */
function digitsOf (number: number): number {
  let digits = 1
  for (let power = 10; number >= power; power *= 10) digits++
  return digits
}

/** Bytes of the `id:` lines of the numbers from `from` to `to - 1`. */
export function idBytesBetween (prefix: string, from: number, to: number): number {
  let bytes = (to - from) * (prefix.length + idFieldBytes)
  for (let start = from; start < to;) {
    const digits = digitsOf(start)
    const end = Math.min(to, 10 ** digits)
    bytes += (end - start) * digits
    start = end
  }
  return bytes
}

/**
 * Updates for many streams, with an id before each update. Each stream has ids of its own: a prefix, which has one byte
 * a character, and consecutive numbers.
 */
export class NumberedBatch {
  readonly #texts: readonly string[]
  /** The updates, encoded; null until a chunk needs them. */
  #updates: readonly Buffer[] | null = null
  /** A chunk for each length of an id, to be filled in again. */
  readonly #chunks = new Map<number, Chunk>()
  /** Length of the id in the latest chunk. */
  #idLength = 0

  /** @param texts one for each update */
  constructor (texts: readonly string[]) {
    this.#texts = texts
  }

  /** The text for a stream whose first id has the number `first`. */
  textFor (prefix: string, first: number): string {
    let number = first
    let text = ''
    for (const update of this.#texts) text += `id: ${prefix}${number++}\n${update}`
    return text
  }

  /**
   * The same as a chunk of HTTP/1.1. The next call may fill in the same memory, unless the caller keeps it by
   * {@link keepChunk}.
   */
  chunkFor (prefix: string, first: number): Buffer {
    const digits = digitsOf(first)
    const idLength = prefix.length + digits
    // A number with more digits moves what follows.
    if (first + this.#texts.length > 10 ** digits) return this.#wholeChunk(this.textFor(prefix, first))
    this.#idLength = idLength
    let chunk = this.#chunks.get(idLength)
    if (chunk === undefined) this.#chunks.set(idLength, chunk = this.#blankChunk(idLength))
    this.#fill(chunk, prefix, digits, first)
    return chunk.bytes
  }

  /** The latest chunk is still in use: another is made for the next stream. */
  keepChunk (): void {
    this.#chunks.delete(this.#idLength)
  }

  #wholeChunk (text: string): Buffer {
    this.#idLength = 0
    return Buffer.from(`${chunkHead(Buffer.byteLength(text))}${text}${chunkEnd}`)
  }

  /** A chunk with room for ids of this length. */
  #blankChunk (idLength: number): Chunk {
    this.#updates ??= this.#texts.map((text) => Buffer.from(text))
    const id = Buffer.from(`id: ${' '.repeat(idLength)}\n`)
    let bytes = 0
    for (const update of this.#updates) bytes += id.length + update.length
    const head = Buffer.from(chunkHead(bytes))
    return { start: head.length, bytes: Buffer.concat([head, ...this.#updates.flatMap((update) => [id, update]), Buffer.from(chunkEnd)]) }
  }

  #fill ({ bytes, start }: Chunk, prefix: string, digits: number, first: number): void {
    const updates = this.#updates!
    const { length } = prefix
    let at = start
    for (let index = 0; index < updates.length; index++) {
      at += 'id: '.length
      for (let place = 0; place < length; place++) bytes[at + place] = prefix.charCodeAt(place)
      at += length + digits
      let number = first + index
      for (let place = at - 1; place >= at - digits; place--) {
        const rest = Math.floor(number / 10)
        bytes[place] = zero + (number - rest * 10)
        number = rest
      }
      at += 1 + updates[index]!.length
    }
  }
}
