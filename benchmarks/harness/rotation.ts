/**
 * The order for one repeat: every kind comes first once before one comes first again, and every other
 * repeat runs backwards, so that no kind always follows the same neighbour.
 */
export function rotated<Kind> (kinds: readonly Kind[], repeat: number): Kind[] {
  const start = repeat % kinds.length
  const order = [...kinds.slice(start), ...kinds.slice(0, start)]
  return repeat % 2 === 0 ? order : order.reverse()
}
