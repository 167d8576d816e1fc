/** Longest delay of a timer, in milliseconds. A timer of 2 ** 31 or more fires at once. */
export const mostMs = 2e9

/**
 * Milliseconds until the next try.
 *
 * @param attempt number of tries before this one
 * @param askedMs milliseconds that the server asked for. Absent, 0 and NaN mean none.
 */
export function backOff (attempt: number, retryMs: number, retryMaxMs: number, askedMs?: number): number {
  // The power becomes infinite, and infinity times a `retryMs` of 0 is NaN.
  return Math.min(mostMs, (askedMs || 0) + Math.random() * Math.min(retryMaxMs, retryMs * 1.5 ** attempt || 0))
}
