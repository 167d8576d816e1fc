/** What Little's law compares: the mean number in a system, the rate through it, and the mean time in it. */
export interface Flow {
  readonly present: number
  readonly perSecond: number
  readonly meanMs: number
}

/** The factor by which the law may be missed: the ends of a window cut requests off. */
const tolerance = 1.3
/** Fewer in the system than this say nothing. */
const leastPresent = 0.5

/** `present / (perSecond * mean time)`, which is 1 in a steady system; null where too little was there to tell. */
export function littleRatio ({ present, perSecond, meanMs }: Flow): number | null {
  const expected = perSecond * meanMs / 1_000
  return Math.max(present, expected) < leastPresent || expected === 0 ? null : present / expected
}

/** Whether the three figures can be of one steady system. */
export function agreesWithLittle (flow: Flow): boolean {
  const ratio = littleRatio(flow)
  return ratio === null || (ratio <= tolerance && ratio >= 1 / tolerance)
}
