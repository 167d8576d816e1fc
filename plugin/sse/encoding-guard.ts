import type { RawResponse } from '../carriers/http-carrier.ts'
import type { Encoding } from '../carriers/stream-compression.ts'

/**
 * Fastify keeps headers when a hook fails or answers in the stream's place. Of any
 * other body than the stream's the encoding would be untrue, so it does not go out
 * with one.
 *
 * @returns a function that ends this
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
    // Not deleted, which would make the response a slower object. A hook may have put its own there, which stays.
    if (response.writeHead === guarded) response.writeHead = writeHead as RawResponse['writeHead']
  }
}
