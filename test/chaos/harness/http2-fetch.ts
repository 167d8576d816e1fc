import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders, type IncomingHttpStatusHeader } from 'node:http2'
import { Readable, type Writable } from 'node:stream'
import { constants as zlib, createGunzip } from 'node:zlib'

/** The parts of `fetch` that the library's client needs, over HTTP/2. One connection carries all requests, as in a browser. */
export class Http2Fetch {
  readonly #ca: string | undefined
  readonly #headers: Record<string, string>
  #session: ClientHttp2Session | null = null

  /** @param ca certificate to trust; undefined without TLS */
  constructor (ca: string | undefined, headers: Record<string, string>) {
    this.#ca = ca
    this.#headers = headers
  }

  readonly fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const { origin, pathname, search } = new URL(String(input))
    const { method = 'GET', body, signal } = init
    signal?.throwIfAborted()
    const headers = Object.fromEntries(new Headers(init.headers))
    const stream = this.#connect(origin).request({ ':method': method, ':path': pathname + search, ...this.#headers, ...headers })
    const abort = () => { stream.close(constants.NGHTTP2_CANCEL) }
    signal?.addEventListener('abort', abort)
    stream.on('close', () => { signal?.removeEventListener('abort', abort) })
    stream.end(body as string | undefined)
    const head = await headOf(stream)
    const status = head[':status']!
    const content = Readable.toWeb(contentOf(stream, head)) as ReadableStream<Uint8Array>
    const received = Object.entries(head).filter(([name]) => !name.startsWith(':') && name !== 'content-encoding') as Array<[string, string]>
    return new Response(status === 204 ? null : content, { status, headers: received })
  }

  close (): void {
    this.#session?.destroy()
  }

  #connect (origin: string): ClientHttp2Session {
    if (this.#session !== null && !this.#session.closed && !this.#session.destroyed) return this.#session
    const session = connect(origin, this.#ca === undefined ? {} : { ca: this.#ca })
    // The error of a connection reaches its streams.
    session.on('error', () => {})
    this.#session = session
    return session
  }
}

function headOf (stream: ClientHttp2Stream): Promise<IncomingHttpHeaders & IncomingHttpStatusHeader> {
  return new Promise((resolve, reject) => {
    stream.on('response', resolve)
    stream.on('error', reject)
    stream.on('close', () => { reject(new TypeError('the connection was closed before the headers')) })
  })
}

/** The stream's content. It ends properly only if the stream does; otherwise it fails. */
function contentOf (stream: ClientHttp2Stream, head: IncomingHttpHeaders): Readable {
  const content = head['content-encoding'] === 'gzip'
    ? stream.pipe(createGunzip({ flush: zlib.Z_SYNC_FLUSH, finishFlush: zlib.Z_SYNC_FLUSH }) as Writable as Readable & Writable)
    : stream as Readable
  stream.on('close', () => {
    if (stream.rstCode !== 0 || !stream.readableEnded) content.destroy(new TypeError('the connection broke'))
  })
  content.on('error', () => {})
  return content
}
