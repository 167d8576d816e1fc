import { randomBytes } from 'node:crypto'
import fc from 'fast-check'

/**
 * Rows of 0 to 1,048,576 characters, in any order and evenly over the orders of magnitude. Some have
 * the size of a deflate block. Some are words; deflate hardly shortens the others.
 *
 * @param seed the same seed gives the same lengths
 */
export function rowsOfAnySize (count: number, seed: number): string[] {
  const anyLength = fc.double({ min: 0, max: 20, noNaN: true }).map((exponent) => Math.floor(2 ** exponent) - 1)
  const nearLimit = fc.integer({ min: 65_500, max: 65_570 })
  const sampled = fc.sample(fc.tuple(fc.oneof({ weight: 5, arbitrary: anyLength }, { weight: 1, arbitrary: nearLimit }), fc.boolean()), { seed, numRuns: count })
  const always: Array<[number, boolean]> = [[0, true], [65_535, false], [1_048_576, true], [1_048_576, false]]
  return [...sampled, ...always].map(([length, isWords], index) => {
    const text = isWords ? `${index} hëllo 世界 `.repeat(length / 12 + 1) : randomBytes(length).toString('base64')
    return text.slice(0, length)
  })
}
