/**
 * The order of one repeat: over as many repeats as there are items each comes first once, and every other
 * repeat runs backwards, so that no item always follows the same neighbour.
 */
export function rotated<Item> (items: readonly Item[], repeat: number): Item[] {
  const step = repeat % 2 === 0 ? 1 : items.length - 1
  return items.map((item, index) => items[(repeat + index * step) % items.length] ?? item)
}

/** Gives each the same number of short slices in turn, so that other work on the machine affects all of them alike. */
export async function takeTurns<Item, Slice> (
  items: readonly Item[], turns: number, repeat: number, run: (item: Item) => Promise<Slice>
): Promise<Map<Item, Slice[]>> {
  const slices = new Map(items.map((item): [Item, Slice[]] => [item, []]))
  for (let turn = 0; turn < Math.max(1, turns); turn += 1) {
    for (const item of rotated(items, repeat + turn)) slices.get(item)?.push(await run(item))
  }
  return slices
}
