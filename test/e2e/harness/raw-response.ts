import type { IncomingHttpHeaders } from 'node:http'
import { connect, type Socket } from 'node:net'
import { connect as connectSecurely, TLSSocket } from 'node:tls'
import { certificate } from './certificate.ts'
import type { ReaderOptions, ResponseBody } from './reader.ts'

const lineEnd = Buffer.from('\r\n')
const headEnd = Buffer.from('\r\n\r\n')

/**
 * Reads one HTTP/1.1 response from a bare socket. So only the kernel reads ahead of the
 * test, and the test sees the chunks as the server wrote them.
 */
export class RawResponse implements ResponseBody {
  readonly socket: Socket
  readonly opened: Promise<void>
  status = 0
  headers: IncomingHttpHeaders = {}
  readonly pieces: Buffer[] = []
  ended = false
  closed = false
  readonly #isHead: boolean
  readonly #frozen: boolean
  #settleOpened!: (error?: Error) => void
  #unread: Buffer = Buffer.alloc(0)
  #state: 'head' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailer' | 'length' | 'until-close' | 'over' = 'head'
  /** Missing bytes of the present chunk, or of the body. */
  #remaining = 0

  constructor (port: number, path: string, headers: Record<string, string>, { method = 'GET', frozen = false, pieceEveryMs = 0 }: ReaderOptions, secure = false) {
    this.#isHead = method === 'HEAD'
    this.#frozen = frozen
    this.opened = new Promise((resolve, reject) => {
      this.#settleOpened = (error) => error === undefined ? resolve() : reject(error)
    })
    this.opened.catch(() => {})
    const lines = Object.entries({ host: `127.0.0.1:${port}`, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
    const ask = () => { this.socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`) }
    this.socket = secure
      ? connectSecurely({ port, host: '127.0.0.1', ca: certificate().cert, ALPNProtocols: ['http/1.1'] }, ask)
      : connect(port, '127.0.0.1', ask)
    this.socket.on('data', (bytes) => {
      this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes])
      while (this.#step()) { /* one element of the message at a time */ }
      if (pieceEveryMs === 0 || this.#state === 'head') return
      this.socket.pause()
      setTimeout(() => { this.socket.resume() }, pieceEveryMs)
    })
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      if (this.#state === 'until-close') this.ended = true
      this.closed = true
      this.#settleOpened(new Error('the connection was closed before the headers'))
    })
  }

  pause (): void { this.socket.pause() }
  resume (): void { this.socket.resume() }

  destroy (): void {
    // Node cannot reset a TLS connection.
    if (this.socket instanceof TLSSocket) this.socket.destroy()
    else this.socket.resetAndDestroy()
  }

  #step (): boolean {
    switch (this.#state) {
      case 'head': {
        const end = this.#unread.indexOf(headEnd)
        if (end === -1) return false
        this.#readHead(this.#take(end + headEnd.length).toString('latin1'))
        return true
      }
      case 'chunk-size': {
        const end = this.#unread.indexOf(lineEnd)
        if (end === -1) return false
        this.#remaining = Number.parseInt(this.#take(end + 2).toString('latin1'), 16)
        this.#state = this.#remaining === 0 ? 'trailer' : 'chunk'
        return true
      }
      case 'chunk': {
        if (this.#unread.length < this.#remaining) return false
        this.pieces.push(this.#take(this.#remaining))
        this.#state = 'chunk-end'
        return true
      }
      case 'chunk-end':
      case 'trailer': {
        if (this.#unread.length < 2) return false
        this.#take(2)
        if (this.#state === 'trailer') this.#finish()
        else this.#state = 'chunk-size'
        return true
      }
      case 'length':
      case 'until-close': {
        if (this.#unread.length === 0) return false
        const piece = this.#take(this.#unread.length)
        this.pieces.push(piece)
        this.#remaining -= piece.length
        if (this.#state === 'length' && this.#remaining <= 0) this.#finish()
        return true
      }
      default:
        return false
    }
  }

  #readHead (head: string): void {
    const [statusLine = '', ...lines] = head.trimEnd().split('\r\n')
    this.status = Number(statusLine.split(' ')[1])
    for (const line of lines) {
      const colon = line.indexOf(':')
      const name = line.slice(0, colon).toLowerCase()
      const value = line.slice(colon + 1).trim()
      if (name === 'set-cookie') (this.headers['set-cookie'] ??= []).push(value)
      else this.headers[name] = value
    }
    const length = this.headers['content-length']
    if (this.#isHead || this.status === 204 || this.status === 304 || length === '0') this.#finish()
    else if (this.headers['transfer-encoding'] === 'chunked') this.#state = 'chunk-size'
    else if (length !== undefined) {
      this.#remaining = Number(length)
      this.#state = 'length'
    } else this.#state = 'until-close'
    if (this.#frozen) this.socket.pause()
    this.#settleOpened()
  }

  #finish (): void {
    this.#state = 'over'
    this.ended = true
    // The connection would stay open for another request, but none follows. A half-closed
    // connection keeps the process of Node 20 from ending.
    this.socket.destroy()
  }

  #take (length: number): Buffer {
    const taken = this.#unread.subarray(0, length)
    this.#unread = this.#unread.subarray(length)
    return taken
  }
}
