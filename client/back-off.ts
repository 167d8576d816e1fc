/** Of a timer: from 2 ** 31 on, it fires at once. */
export const mostMs = 2e9

/**
 * Milliseconds until the next try.
 *
 * @param attempt how many came before
 * @param askedMs what the server asked for: nothing, 0, or what is no number, for none
 */
export function backOff (attempt: number, retryMs: number, retryMaxMs: number, askedMs?: number): number {
  // Beyond, the power would be infinite, and no number at all times a `retryMs` of 0.
  return Math.min(mostMs, (askedMs || 0) + Math.random() * Math.min(retryMaxMs, retryMs * 1.5 ** Math.min(attempt, 99)))
}
