import { ClientError, type ErrorFields } from './client-error.ts'
import { resolveNumbers } from './options.ts'
import { quietPromise } from './quiet-promise.ts'

/** Options of one request. */
export interface ReplyOptions {
  /** Longest wait for the reply, in milliseconds. Then the request rejects with `TETHER_TIMEOUT`. Default 0: no limit. */
  timeoutMs?: number
  /** Rejects the request with its reason when it is aborted. */
  signal?: AbortSignal
}

/**
 * Gives a promise of an answer that comes down the stream.
 *
 * @param send asks for it. It gets a function for the answer, which rejects the promise where that has a code, and one
 * for an error; neither may be called before it returns. It returns a function that is called at the end of the wait.
 */
export function ask (options: ReplyOptions, send: (finish: (answer: ErrorFields) => void, end: (error: unknown) => void) => () => unknown): Promise<any> {
  return quietPromise((resolve, reject) => {
    const { timeoutMs, signal } = resolveNumbers(options, { timeoutMs: 0 })
    if (signal?.aborted) throw signal.reason
    const life = new AbortController()
    const end = (error: unknown) => {
      // What leaves may reject the promise as well.
      reject(error)
      clearTimeout(timer)
      life.abort()
      leave()
    }
    const finish = (answer: ErrorFields) => {
      if (!answer.code) resolve(answer.data)
      end(new ClientError(answer))
    }
    const leave = send(finish, end)
    const timer = timeoutMs && setTimeout(end, timeoutMs, new ClientError({ code: 'TETHER_TIMEOUT' }))
    signal?.addEventListener('abort', () => end(signal.reason), life)
  })
}
