import { defaults } from '../../../schemas/defaults.ts'

const { redisBatchEntries, redisBatchBytes } = defaults.fixed

/** How many of these, from the first on, share one write. A large one goes alone. */
export function batchLength<Item> (items: readonly Item[], bytesOf: (item: Item) => number): number {
  let bytes = 0
  let count = 0
  while (count < items.length && count < redisBatchEntries && (count === 0 || bytes + bytesOf(items[count]!) <= redisBatchBytes)) bytes += bytesOf(items[count++]!)
  return count
}
