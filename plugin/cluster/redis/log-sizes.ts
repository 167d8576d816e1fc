import { firstId, later } from './stream-id.ts'

/** Most pieces whose sizes are kept apart. */
const mostPieces = 1_024

interface Piece {
  /** The last entry of the piece. */
  id: string
  bytes: number
}

/** How many bytes of the log this node has read, piece by piece: Redis bounds a stream by count alone. */
export class LogSizes {
  #pieces: Piece[] = []
  #bytes = 0
  #last = firstId

  /** Counts entries up to `id`. Those that were read before count nothing. */
  add (id: string, bytes: number): void {
    if (bytes === 0 || id === this.#last || later(id, this.#last) === this.#last) return
    this.#last = id
    this.#pieces.push({ id, bytes })
    this.#bytes += bytes
    if (this.#pieces.length > mostPieces) this.#join()
  }

  /** Forgets the oldest pieces, until the others have at most `mostBytes`. Returns the last id that was forgotten. */
  trim (mostBytes: number): string {
    let at = 0
    while (this.#bytes > mostBytes && at < this.#pieces.length - 1) this.#bytes -= this.#pieces[at++]!.bytes
    return this.#pieces.splice(0, at).at(-1)?.id ?? firstId
  }

  clear (): void {
    this.#pieces = []
    this.#bytes = 0
    this.#last = firstId
  }

  #join (): void {
    const joined: Piece[] = []
    for (const [index, { id, bytes }] of this.#pieces.entries()) {
      if (index % 2 === 0) joined.push({ id, bytes })
      else Object.assign(joined.at(-1)!, { id, bytes: joined.at(-1)!.bytes + bytes })
    }
    this.#pieces = joined
  }
}
