/**
 * The order of one repeat: over as many repeats as there are items each comes first once, and every other
 * repeat runs backwards, so that nobody always follows the same neighbour.
 */
export function rotated<Item> (items: readonly Item[], repeat: number): Item[] {
  const step = repeat % 2 === 0 ? 1 : items.length - 1
  return items.map((item, index) => items[(repeat + index * step) % items.length] ?? item)
}
