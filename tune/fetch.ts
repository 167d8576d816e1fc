import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'

export interface FetchOptions {
  readonly headers: Readonly<Record<string, string>>
  /** Whether the server speaks HTTP/2 without being asked. */
  readonly isHttp2: boolean
  readonly timeoutMs: number
}

export interface Fetched {
  readonly status: number
  readonly text: string
}

/** Gets a text. A certificate is not checked: the person owns the server. Rejects where there is no answer in time. */
export async function fetchText (url: URL, { headers, isHttp2, timeoutMs }: FetchOptions): Promise<Fetched> {
  const signal = AbortSignal.timeout(timeoutMs)
  return isHttp2 ? await overHttp2(url, headers, signal) : await overHttp1(url, headers, signal)
}

function overHttp1 (url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Fetched> {
  const { request } = url.protocol === 'https:' ? https : http
  return new Promise((resolve, reject) => {
    request(url, { headers, signal, agent: false, rejectUnauthorized: false } as https.RequestOptions, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => { text += part })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      response.on('error', reject)
    }).on('error', reject).end()
  })
}

function overHttp2 (url: URL, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Fetched> {
  const session = http2.connect(url.origin, { rejectUnauthorized: false })
  return new Promise<Fetched>((resolve, reject) => {
    session.on('error', reject)
    const stream = session.request({ ...headers, ':method': 'GET', ':path': url.pathname + url.search }, { signal })
    let status = 0
    let text = ''
    stream.on('response', ({ ':status': given = 0 }) => { status = given })
    stream.setEncoding('utf8').on('data', (part: string) => { text += part })
    stream.on('end', () => resolve({ status, text }))
    stream.on('error', reject)
    stream.end()
  }).finally(() => session.destroy())
}
