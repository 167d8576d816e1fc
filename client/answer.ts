import type { ErrorFields } from './client-error.ts'

/** How a request ended: its status (0: no answer came), and what its body said, if it was JSON. */
export interface Answer extends ErrorFields {
  readonly status: number
  /** What `Retry-After` asks for; nothing, 0, or what is no number, for none. */
  readonly retryAfterMs?: number
  /** At a 409: the number that is due. */
  readonly expected?: number
  /** What went wrong where there was no answer. */
  readonly cause?: unknown
}

/** Whether the same request would be answered so again. All else may pass: 404 and 410, for a session; 404, for a server that is being replaced. */
export function isFinal (status: number): boolean {
  return /204|40[01356]|41[35]|422/.test(status as never)
}
