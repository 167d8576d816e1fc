import net from 'node:net'
import { loopback } from './loopback.ts'

export interface StreamTarget {
  readonly port: number
  readonly headers: Readonly<Record<string, string>>
  /** Default HTTP/1.1. */
  readonly protocol?: 'http2' | undefined
  /** Default `/live`. */
  readonly path?: string
  /** Text sent after the head of the request, a byte for each character. */
  readonly opening?: string | undefined
}

export interface SocketStreamParts {
  readonly target: StreamTarget
  /** Buffer for reads. Streams may share one, since each read is handled before the next. */
  readonly buffer: Buffer
  readonly localAddress?: string
  /** Gets the bytes after the head of the answer, framing included. Returns whether to read on. */
  onBody (bytes: Buffer, length: number): boolean
  /** Gets the reason of the end; called at most once, and not after `leave`. */
  onFault (reason: string): void
}

const headEnd = Buffer.from('\r\n\r\n')
const goodHead = /^HTTP\/1\.1 (?:200|101) /

export const liveUrl = '/live'

/** Headers of servers that write a stream by hand. */
export const streamHeaders = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no'
}

/** Request headers: counted readers name a session, the others get an id with each update. */
export const exactHeaders = { accept: 'text/event-stream' }
export const countedHeaders = { ...exactHeaders, 'x-tether-session': 'new' }

/** Requests a stream over a plain socket. It costs almost nothing, so the server under test has the machine. */
export class SocketStream {
  readonly socket: net.Socket
  /** Head of the answer. */
  head = ''
  readonly #parts: SocketStreamParts
  #hasHead = false
  #isOver = false

  constructor (parts: SocketStreamParts) {
    this.#parts = parts
    const { target, buffer, localAddress } = parts
    this.socket = net.connect({
      port: target.port,
      host: loopback,
      ...localAddress === undefined ? {} : { localAddress },
      onread: { buffer, callback: (length) => this.#read(length) }
    })
    this.socket.on('connect', () => this.socket.write(encodeRequest(target), 'latin1'))
    this.socket.on('error', (error) => this.#fail(error.message))
    this.socket.on('close', () => this.#fail('closed by the server'))
  }

  get hasHead (): boolean {
    return this.#hasHead
  }

  /** Closes the connection, with an end or a reset. */
  leave (how: 'end' | 'reset' = 'end'): void {
    this.#isOver = true
    if (how === 'end') this.socket.destroy()
    else this.socket.resetAndDestroy()
  }

  #read (length: number): boolean {
    const { buffer } = this.#parts
    if (this.#hasHead) return this.#parts.onBody(buffer, length)
    const end = buffer.subarray(0, length).indexOf(headEnd)
    this.head += buffer.toString('latin1', 0, end === -1 ? length : end)
    if (end === -1) return true
    this.#hasHead = true
    if (!goodHead.test(this.head)) this.#fail(`was answered ${JSON.stringify(this.head)}`)
    const start = end + headEnd.length
    return start === length || this.#parts.onBody(buffer.subarray(start, length), length - start)
  }

  #fail (reason: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#parts.onFault(reason)
  }
}

function encodeRequest ({ port, path = liveUrl, headers, opening = '' }: StreamTarget): string {
  const lines = Object.entries({ host: `${loopback}:${port}`, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n${opening}`
}
