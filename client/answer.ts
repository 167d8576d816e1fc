import type { Answer as WireAnswer } from '../schemas/answer.ts'
import type { ErrorFields } from './client-error.ts'

/** How a request ended: the status (0: no answer came), and the fields of the body if it was JSON. */
export interface Answer extends ErrorFields, Readonly<Pick<WireAnswer, 'seq' | 'known' | 'expected' | 'durable'>> {
  readonly status: number
  /** Milliseconds that `Retry-After` asks for. Absent, 0 and NaN mean none. */
  readonly retryAfterMs?: number
  /** `'not-a-stream'` where a stream was asked for and the answer was none. */
  readonly reason?: string | undefined
  /** The error where no answer came. */
  readonly cause?: unknown
}

/** Statuses that a proxy may answer in the server's place. */
export const mayBeProxys = /40[056]|422/

/**
 * Whether the same request would get the same answer again. These may pass: 404 and 410, for a session; 404, while a
 * server is being replaced; and what a proxy or a portal answers in the server's place, without a code of Fastify's.
 */
export function isFinal ({ code, status }: Answer): boolean {
  return /40[13]|41[35]/.test(status as never) || (/^FST_/.test(code!) && mayBeProxys.test(status as never))
}
