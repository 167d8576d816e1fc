import { connect, constants, type ClientHttp2Session } from 'node:http2'
import type { IncomingHttpHeaders } from 'node:http'
import { certificate } from './certificate.ts'
import type { ReaderOptions, ResponseBody } from './reader.ts'
import { isSecure, originOf, type Server } from './server.ts'

/** Opens a new connection to a server that speaks HTTP/2. */
export function connectSession (server: Server, port = server.port): ClientHttp2Session {
  const session = connect(originOf(server.protocol, port), isSecure(server.protocol) ? { ca: certificate().cert } : {})
  session.on('error', () => {})
  return session
}

/** Sends one request, on a new connection unless `over` gives one to share, and reads the response. */
export function connectHttp2 (server: Server, port: number, path: string, headers: Record<string, string>, { method = 'GET', frozen = false, pieceEveryMs = 0, over }: ReaderOptions): ResponseBody {
  const session = over ?? connectSession(server, port)
  const stream = session.request({ ':method': method, ':path': path, ...headers })
  let settleOpened!: (error?: Error) => void
  const opened = new Promise<void>((resolve, reject) => {
    settleOpened = (error) => error === undefined ? resolve() : reject(error)
  })
  opened.catch(() => {})
  let status = 0
  let received: IncomingHttpHeaders = {}
  const pieces: Buffer[] = []
  let ended = false
  let closed = false
  stream.on('response', (head) => {
    status = head[':status'] ?? 0
    received = Object.fromEntries(Object.entries(head).filter(([name]) => !name.startsWith(':'))) as IncomingHttpHeaders
    if (frozen) stream.pause()
    settleOpened()
  })
  stream.on('data', (piece: Buffer) => {
    pieces.push(piece)
    if (pieceEveryMs === 0) return
    stream.pause()
    setTimeout(() => { stream.resume() }, pieceEveryMs)
  })
  // A server that refuses a stream also ends it, but with a reset.
  stream.on('end', () => { ended = stream.rstCode === 0 })
  stream.on('error', () => {})
  stream.on('close', () => {
    closed = true
    if (stream.rstCode !== 0) ended = false
    settleOpened(new Error('the stream was closed before the headers'))
    if (over === undefined) session.close()
  })
  return {
    opened,
    get status () { return status },
    get headers () { return received },
    pieces,
    get ended () { return ended },
    get closed () { return closed },
    pause: () => { stream.pause() },
    resume: () => { stream.resume() },
    destroy: () => {
      if (over === undefined) session.destroy()
      else stream.close(constants.NGHTTP2_CANCEL)
    }
  }
}
