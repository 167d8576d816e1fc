import { ArgumentError } from './errors.ts'
import { isRecord } from './record.ts'

/** Least letters of a name that counts as near because another name contains it. */
const leastPart = 4

/**
 * Finds the known name that is nearest to `given`; null if none is near. Case and separators
 * do not count. A swap of two neighbouring letters counts as one change.
 */
export function nearest (given: string, names: Iterable<string>): string | null {
  const wanted = plain(given)
  if (wanted === '' || wanted.length > 64) return null
  let best: string | null = null
  let least = Infinity
  for (const name of names) {
    const known = plain(name)
    const isPart = Math.min(wanted.length, known.length) >= leastPart && (known.includes(wanted) || wanted.includes(known))
    const distance = wanted === known ? 0 : editDistance(wanted, known)
    const allowed = isPart ? Infinity : Math.max(1, Math.floor(Math.min(wanted.length, known.length) / 3))
    // In names of one or two letters, one wrong letter means another name.
    if (distance > allowed || (distance > 0 && !isPart && Math.min(wanted.length, known.length) < 3)) continue
    if (distance < least) {
      least = distance
      best = name
    }
  }
  return best
}

/** The end of a message: `. Did you mean "x"?`; empty if no name is near. */
export function didYouMean (given: string, names: Iterable<string>): string {
  const name = nearest(given, names)
  return name === null ? '' : `. Did you mean "${name}"?`
}

/** Throws `FST_ERR_TETHER_ARGUMENT` for options that are no object, and for one that a call does not know: a misspelt one must be no silent default. */
export function checkNames (given: unknown, names: readonly string[], where: string): void {
  if (!isRecord(given)) throw new ArgumentError(`the options of ${where} must be an object, got ${given === null ? 'null' : Array.isArray(given) ? 'an array' : typeof given}`)
  const unknown = Object.keys(given).find((name) => !names.includes(name))
  if (unknown !== undefined) throw new ArgumentError(`${where} has no option "${unknown}"${didYouMean(unknown, names)}`)
}

function plain (name: string): string {
  return name.toLowerCase().replace(/[-_.\s]/g, '')
}

/** Counts the insertions, deletions, replacements and swaps of neighbours that turn one text into the other. */
export function editDistance (left: string, right: string): number {
  let before: number[] = []
  let above = Array.from({ length: right.length + 1 }, (_, column) => column)
  for (let row = 1; row <= left.length; row++) {
    const present = [row]
    for (let column = 1; column <= right.length; column++) {
      const isSame = left[row - 1] === right[column - 1]
      let distance = Math.min(above[column]! + 1, present[column - 1]! + 1, above[column - 1]! + (isSame ? 0 : 1))
      if (row > 1 && column > 1 && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]) distance = Math.min(distance, before[column - 2]! + 1)
      present.push(distance)
    }
    before = above
    above = present
  }
  return above[right.length]!
}
