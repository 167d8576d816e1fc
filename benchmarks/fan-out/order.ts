/**
 * The order of one turn: over as many turns as there are items each comes first once, and every other turn
 * runs backwards, so that nobody always follows the same neighbour.
 */
export function orderOf<Item> (items: readonly Item[], turn: number): Item[] {
  const step = turn % 2 === 0 ? 1 : items.length - 1
  return items.map((item, index) => items[(turn + index * step) % items.length] ?? item)
}
