import type { IncomingHttpHeaders } from 'node:http'
import { WebSocket } from 'ws'
import { certificate } from './certificate.ts'
import { StreamReader, type Json, type Reader, type ResponseBody } from './reader.ts'
import type { Server } from './server.ts'
import { until } from './until.ts'

export interface SocketOptions {
  headers?: Record<string, string>
  /** A port other than the server's own, for example of a link. */
  port?: number
  /** Whether the client offers compression. */
  perMessageDeflate?: boolean
  /** Whether it answers pings. Default true. */
  autoPong?: boolean
}

/** A WebSocket. The reader joins its messages to an event stream. */
export interface SocketReader extends Reader {
  readonly socket: WebSocket
  /** The close code; 0 while the socket is open, 1006 for an end without a code. */
  readonly closeCode: number
  /** Lengths of the messages so far. */
  readonly messages: readonly number[]
  /** The answers to messages, in order. */
  readonly answers: Json[]
  /** Sends a message: text and bytes unchanged, any other value as JSON. */
  send: (message: unknown) => void
  /** Does the same, and waits for the answer. Do not use it after a `send` of an acknowledgement, which gets no answer. */
  ask: (message: unknown) => Promise<Json>
}

class SocketBody implements ResponseBody {
  readonly socket: WebSocket
  readonly opened: Promise<void>
  status = 0
  headers: IncomingHttpHeaders = {}
  readonly pieces: Buffer[] = []
  closeCode = 0

  constructor (server: Server, path: string, { headers = {}, port = server.port, perMessageDeflate = false, autoPong = true }: SocketOptions) {
    const scheme = server.origin.startsWith('https') ? 'wss' : 'ws'
    const socket = new WebSocket(`${scheme}://127.0.0.1:${port}${path}`, { headers, perMessageDeflate, autoPong, ca: certificate().cert })
    this.socket = socket
    this.opened = new Promise((resolve, reject) => {
      socket.on('upgrade', (response) => {
        this.status = response.statusCode ?? 0
        this.headers = response.headers
      })
      socket.on('open', resolve)
      socket.on('unexpected-response', (_request, response) => {
        this.status = response.statusCode ?? 0
        this.headers = response.headers
        response.on('data', (piece: Buffer) => { this.pieces.push(piece) })
        response.on('close', () => { socket.terminate() })
        response.on('end', () => reject(new Error(`the upgrade was answered with ${this.status}`)))
      })
      socket.on('error', reject)
      socket.on('close', (code) => {
        this.closeCode = code
        reject(new Error('the socket was closed'))
      })
    })
    this.opened.catch(() => {})
    socket.on('message', (message: Buffer, isBinary) => {
      if (isBinary) throw new Error('a binary message came')
      this.pieces.push(message)
    })
  }

  get closed (): boolean { return this.closeCode !== 0 }
  get ended (): boolean { return this.closed && this.closeCode !== 1006 }

  pause (): void { this.socket.pause() }
  resume (): void { this.socket.resume() }
  destroy (): void { this.socket.terminate() }
}

class WebSocketReader extends StreamReader implements SocketReader {
  readonly #socketBody: SocketBody
  #asked = 0

  constructor (body: SocketBody) {
    super(body)
    this.#socketBody = body
  }

  get socket (): WebSocket { return this.#socketBody.socket }
  get closeCode (): number { return this.#socketBody.closeCode }
  get messages (): readonly number[] { return this.chunks.map(({ length }) => length) }
  get answers (): Json[] { return this.controls.filter(({ type }) => type === 'answer') }

  send (message: unknown): void {
    this.socket.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message))
  }

  async ask (message: unknown): Promise<Json> {
    this.send(message)
    const asked = ++this.#asked
    await until(() => this.answers.length >= asked, `the answer to message ${asked}`)
    return this.answers[asked - 1]!
  }
}

/** Asks for a WebSocket, and does not wait for it. */
export function startSocket (server: Server, path = '/live', options: SocketOptions = {}): SocketReader {
  const reader = new WebSocketReader(new SocketBody(server, path, options))
  server.readers.add(reader)
  return reader
}

/** Opens a WebSocket, and names a session if one is given. */
export async function openSocket (server: Server, path = '/live', opening?: unknown, options: SocketOptions = {}): Promise<SocketReader> {
  const reader = startSocket(server, path, options)
  await reader.opened
  if (opening !== undefined) reader.socket.send(typeof opening === 'string' ? opening : JSON.stringify(opening))
  return reader
}
