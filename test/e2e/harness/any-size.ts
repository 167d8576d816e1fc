import { randomBytes } from 'node:crypto'
import fc from 'fast-check'

/**
 * Rows from nothing to a megabyte, in any order: as many of each order of magnitude, some at the
 * limits of blocks, some of words and some that deflate makes hardly shorter.
 *
 * @param seed gives the same lengths every time
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
