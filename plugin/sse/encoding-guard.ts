import type { RawResponse } from '../carriers/http-carrier.ts'
import type { Encoding } from '../carriers/stream-compression.ts'

/**
 * Removes the stream's `Content-Encoding` from any other response. Fastify keeps headers when a
 * hook fails or answers in place of the stream, but that body is not encoded.
 *
 * @returns a function that ends the guard
 */
export function guardEncoding (response: RawResponse, encoding: Encoding): () => void {
  const writeHead = response.writeHead as (...head: unknown[]) => RawResponse
  let isGuarding = true
  const guarded = function (this: RawResponse, ...head: unknown[]): RawResponse {
    if (isGuarding) {
      const headers = head.at(-1) as Record<string, unknown> | null | undefined
      if (typeof headers === 'object' && headers?.['content-encoding'] === encoding) delete headers['content-encoding']
      if (this.getHeader('content-encoding') === encoding) this.removeHeader('content-encoding')
    }
    return writeHead.apply(this, head)
  } as RawResponse['writeHead']
  response.writeHead = guarded
  return () => {
    isGuarding = false
    // Assigned, not deleted: a delete would make the response a slower object. A hook's own `writeHead` stays.
    if (response.writeHead === guarded) response.writeHead = writeHead as RawResponse['writeHead']
  }
}
