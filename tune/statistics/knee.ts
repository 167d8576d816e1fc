import { leastSquares } from './least-squares.ts'

export interface Point {
  readonly x: number
  readonly y: number
}

export interface Knee {
  /** Where the two lines meet. */
  readonly x: number
  /** Slopes before and behind it. */
  readonly before: number
  readonly behind: number
}

const candidates = 200

/** Two lines that meet: the place of the meeting with the least squares. Null for fewer than four different x. */
export function kneeOf (points: readonly Point[]): Knee | null {
  const xs = [...new Set(points.map(({ x }) => x))].sort((first, second) => first - second)
  if (xs.length < 4) return null
  // Each line needs two loads of its own.
  const [from, to] = [xs[1]!, xs.at(-2)!]
  let best: { knee: Knee, error: number } | null = null
  for (let step = 0; step <= candidates; step += 1) {
    const x = from + (to - from) * step / candidates
    const rows = points.map((point) => [1, point.x, Math.max(0, point.x - x)])
    const fit = leastSquares(rows, points.map(({ y }) => y))
    if (fit === null) continue
    const error = points.reduce((total, { y }, index) => total + (y - rows[index]!.reduce((value, column, at) => value + column * fit[at]!, 0)) ** 2, 0)
    if (best === null || error < best.error) best = { knee: { x, before: fit[1]!, behind: fit[1]! + fit[2]! }, error }
  }
  return best?.knee ?? null
}
