import { detailsOf } from '../../schemas/error-details.ts'

/**
 * Writes the body of an answer as JSON.
 *
 * One of our errors keeps `errors` and `expected`, which Fastify would drop. Any other answer,
 * such as one of the application's error handler, goes out unchanged.
 */
export function writeAnswer (answer: unknown): string {
  if (!(answer instanceof Error)) return writeAccepted(answer) ?? JSON.stringify(answer)
  const { statusCode, code, error, message } = answer as Error & { statusCode?: number, code?: string, error?: string }
  return JSON.stringify({ statusCode, code, error, message, ...detailsOf(answer) })
}

/** Writes the most frequent answer, a lone `seq`, at a fraction of the cost; null for any other answer. */
function writeAccepted (answer: unknown): string | null {
  if (typeof answer !== 'object' || answer === null) return null
  for (const key in answer) {
    if (key !== 'seq') return null
  }
  const { seq, toJSON } = answer as { seq?: unknown, toJSON?: unknown }
  return Number.isSafeInteger(seq) && toJSON === undefined ? `{"seq":${seq as number}}` : null
}
