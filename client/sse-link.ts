import type { Answer } from './answer.ts'
import type { Claim, Link } from './link.ts'
import type { HeadersOption, LinkOptions } from './options.ts'

/** Server-sent events read with `fetch`, and events sent as POSTs. */
export function sseLink (url: string, { credentials, fetch: own, headers, requestTimeoutMs }: LinkOptions): Link {
  // The server knows by it a POST that the browser repeats by itself.
  const sender = Math.random() + ''
  const request = async ({ session, seq }: Claim, path: string, init: RequestInit, onText?: (text: string) => Promise<unknown>): Promise<Answer> => {
    const response = await (own ?? fetch)(path, {
      ...init,
      headers: {
        ...await ((headers as HeadersOption & { call?: () => HeadersOption })?.call?.() ?? headers),
        ...(onText ? { accept: 'text/event-stream' } : { accept: 'application/json', 'content-type': 'application/json', 'x-tether-sender': sender }),
        'x-tether-session': session ?? 'new',
        ...(seq! >= 0 && { 'last-event-id': `${session}.${seq}` })
      },
      // Otherwise a second tab in Chromium waits for the end of the first tab's stream.
      cache: 'no-store',
      credentials
    } as RequestInit)
    const { status } = response
    const get = (field: string) => response.headers.get(field)!
    if (onText && status === 200) {
      if (!/^text\/event-stream *(;|$)/i.test(get('content-type'))) return { status, reason: 'not-a-stream' }
      const reader = response.body!.getReader()
      // Some platforms lack `TextDecoderStream`.
      const decoder = new TextDecoder()
      for (let piece; !(piece = await reader.read()).done;) await onText(decoder.decode(piece.value, { stream: true }))
      return { status }
    }
    return {
      known: +get('x-tether-known'),
      ...await response.json().catch(() => {}) as object,
      // `fetch` follows most redirections of a POST with a GET for JSON, which gets a 406 and reaches no session.
      status: response.redirected && status === 406 ? 0 : status,
      // Not that of a body from elsewhere.
      reason: undefined,
      // Seconds, or a date, compared with the server's own clock.
      retryAfterMs: Math.max(0, get('retry-after') as unknown as number * 1000 || Date.parse(get('retry-after')) - Date.parse(get('date')))
    }
  }
  return {
    transport: 'sse',
    open: (claim, onText, signal) => request(claim, url, { signal }, onText),
    send: (claim, body, keepalive) => {
      // Some platforms lack `AbortSignal.timeout`.
      const controller = new AbortController()
      const { signal } = controller
      const timer = setTimeout(() => controller.abort(), requestTimeoutMs)
      return request(claim, body ? url : url.replace(/\/?(?=[?#]|$)/, '/tether.close'), { method: 'POST', body: body || '{}', keepalive, signal }).finally(() => clearTimeout(timer))
    }
  }
}
