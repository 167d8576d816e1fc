import { SequenceError, ValidationError } from '../../schemas/errors.ts'

/**
 * Writes the body of an answer as JSON.
 *
 * An error that no handler of the application's turned into something else keeps
 * what Fastify would drop, `errors` and `expected`. Everything else goes out as it
 * is: what the application's own error handler answers with is its own affair.
 */
export function writeAnswer (answer: unknown): string {
  if (!(answer instanceof Error)) return writeAccepted(answer) ?? JSON.stringify(answer)
  const { statusCode, code, error, message } = answer as Error & { statusCode?: number, code?: string, error?: string }
  return JSON.stringify({
    statusCode,
    code,
    error,
    message,
    expected: answer instanceof SequenceError ? answer.expected : undefined,
    errors: answer instanceof ValidationError ? answer.errors : undefined
  })
}

/** Most answers are a number under one name, which is written at a fraction of the cost; null for others. */
function writeAccepted (answer: unknown): string | null {
  if (typeof answer !== 'object' || answer === null) return null
  for (const key in answer) {
    if (key !== 'seq') return null
  }
  const { seq, toJSON } = answer as { seq?: unknown, toJSON?: unknown }
  return Number.isSafeInteger(seq) && toJSON === undefined ? `{"seq":${seq as number}}` : null
}
