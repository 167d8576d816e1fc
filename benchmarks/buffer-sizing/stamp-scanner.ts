/** Begins the data of every update; the time follows, in digits. */
const mark = Buffer.from('{"at":', 'latin1')

/** Length of a mark, sixteen digits and the character after them. */
const longestStamp = mark.length + 17

/** Finds the times that are stamped on updates, however their bytes are split. */
export class StampScanner {
  /** Bytes from one mark that can hold no other mark. */
  readonly #skip: number
  /** End of the last piece, which may have cut a stamp. */
  #cut = ''

  /** @param updateBytes bytes of the shortest update */
  constructor (updateBytes: number) {
    this.#skip = Math.max(mark.length, updateBytes - 2 * longestStamp)
  }

  /** Calls `onStamp` for each time other than 0 in the first `length` bytes. */
  scan (bytes: Buffer, length: number, onStamp: (at: number) => void): void {
    const piece = length === bytes.length ? bytes : bytes.subarray(0, length)
    if (this.#cut !== '') {
      const joined = this.#cut + piece.toString('latin1', 0, longestStamp)
      const stamp = /^\{"at":(\d+)\D/.exec(joined)
      if (stamp === null && joined.length < longestStamp) {
        this.#cut = joined
        return
      }
      if (stamp?.[1] !== undefined) report(Number(stamp[1]), onStamp)
      this.#cut = ''
    }
    let place = piece.indexOf(mark)
    while (place !== -1) {
      const at = readTime(piece, place + mark.length)
      if (at === -1) {
        this.#cut = piece.toString('latin1', place)
        return
      }
      report(at, onStamp)
      place = piece.indexOf(mark, place + this.#skip)
    }
    this.#cut = beginningOfMark(piece)
  }
}

function report (at: number, onStamp: (at: number) => void): void {
  if (at > 0) onStamp(at)
}

/** The digits from `place` on; -1 when the piece ends before they do. */
function readTime (piece: Buffer, place: number): number {
  let time = 0
  for (let index = place; index < piece.length; index += 1) {
    const digit = (piece[index] ?? 0) - 48
    if (digit < 0 || digit > 9) return time
    time = time * 10 + digit
  }
  return -1
}

function beginningOfMark (piece: Buffer): string {
  for (let kept = Math.min(mark.length - 1, piece.length); kept > 0; kept -= 1) {
    if (mark.subarray(0, kept).equals(piece.subarray(piece.length - kept))) return mark.toString('latin1', 0, kept)
  }
  return ''
}
