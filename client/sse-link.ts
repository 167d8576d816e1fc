import type { Answer } from './answer.ts'
import type { Claim, Link } from './link.ts'
import type { HeadersOption, LinkOptions } from './options.ts'

/** Server-sent events read with `fetch`, and events sent as POSTs. */
export function sseLink (url: string, { credentials, fetch: own, headers, requestTimeoutMs }: LinkOptions): Link {
  const request = async ({ session, seq }: Claim, path: string, init: RequestInit, onText?: (text: string) => Promise<unknown>): Promise<Answer> => {
    const response = await (own ?? fetch)(path, {
      ...init,
      headers: {
        ...await ((headers as HeadersOption & { call?: () => HeadersOption })?.call?.() ?? headers),
        'content-type': 'application/json',
        'x-tether-session': session ?? 'new',
        ...(seq! >= 0 && { 'last-event-id': `${session}.${seq}` })
      },
      // Else Chromium lets a second tab wait for the end of the first one's stream.
      cache: 'no-store',
      credentials
    } as RequestInit)
    const { status } = response
    const get = (field: string) => response.headers.get(field)!
    if (onText && status === 200) {
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
      for (let piece; !(piece = await reader.read()).done;) await onText(piece.value)
    }
    return {
      ...await response.json().catch(() => {}) as object,
      status,
      // Seconds, or a date, which is seen by the clock of who answered.
      retryAfterMs: Math.max(0, get('retry-after') as unknown as number * 1000 || Date.parse(get('retry-after')) - Date.parse(get('date')))
    }
  }
  return {
    open: (claim, onText, signal) => request(claim, url, { signal }, onText),
    send: (claim, body, keepalive) => request(claim, body ? url : url.replace(/\/?(?=[?#]|$)/, '/tether.close'), {
      method: 'POST',
      body: body || '{}',
      keepalive,
      signal: AbortSignal.timeout(requestTimeoutMs)
    })
  }
}
