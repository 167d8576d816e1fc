import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { defaults } from '../../schemas/defaults.ts'

/** A TCP or TLS connection. */
export type Connection = Duplex & { destroySoon: () => void, encrypted?: boolean }

const handshakes = new WeakMap<IncomingMessage, Handshake>()

export function wantsWebSocket (headers: IncomingMessage['headers']): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket'
}

/** Whether a request that asks for an upgrade may get a WebSocket. */
export function isHandshake ({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && wantsWebSocket(headers) && headers['transfer-encoding'] === undefined && (headers['content-length'] ?? '0') === '0'
}

/** A connection, and the bytes that have arrived on it so far. */
export interface TakenHandshake {
  readonly socket: Duplex
  readonly head: Buffer
}

/**
 * A request for a WebSocket on its way through the router.
 *
 * It reads from the connection until our route takes it, or while another route answers on
 * it. Otherwise nothing would notice when the client leaves.
 */
export class Handshake {
  readonly #request: IncomingMessage
  readonly #socket: Connection
  readonly #response: HandshakeResponse
  /** Bytes that arrived behind the request. */
  readonly #early: Buffer[]
  #earlyBytes: number
  readonly #isContested: boolean
  #isWatched = false

  /** @param isContested whether other listeners for upgrades may want the request; they know theirs by the URL */
  constructor (request: IncomingMessage, socket: Connection, head: Buffer, isContested: boolean) {
    this.#request = request
    this.#socket = socket
    this.#early = [head]
    this.#earlyBytes = head.length
    this.#isContested = isContested
    this.#response = new HandshakeResponse(request)
    handshakes.set(request, this)
  }

  route (instance: FastifyInstance): void {
    const response = this.#response
    // Nothing reads further requests from the connection.
    response.shouldKeepAlive = false
    if (this.#isContested) response.onHead = () => { this.#leave() }
    else this.claim()
    instance.routing(this.#request as never, response as never)
  }

  /** Connects the response to the client, so that any answer reaches it. */
  claim (): void {
    if (this.#isWatched || this.#response.destroyed) return
    this.#isWatched = true
    const response = this.#response
    const socket = this.#socket
    response.onHead = null
    response.on('finish', () => { socket.destroySoon() })
    response.assignSocket(socket as never)
    socket.on('data', this.#keep)
    socket.on('end', this.#ended)
  }

  take (): TakenHandshake {
    this.claim()
    handshakes.delete(this.#request)
    this.#socket.off('data', this.#keep)
    this.#socket.off('end', this.#ended)
    return { socket: this.#socket, head: Buffer.concat(this.#early) }
  }

  /** Leaves the request to the other listeners for upgrades: the route that answers is not ours. */
  #leave (): void {
    handshakes.delete(this.#request)
    const response = this.#response
    response.onHead = null
    response.on('error', () => {})
    response.destroy()
    // Node emits no `close` for a response without a connection.
    process.nextTick(() => { response.emit('close') })
  }

  readonly #keep = (piece: Buffer): void => {
    this.#earlyBytes += piece.length
    // Once an answer has begun, no route will take these bytes.
    if (this.#response.headersSent) return
    if (this.#earlyBytes > defaults.fixed.openingBytes) this.#socket.destroy()
    else this.#early.push(piece)
  }

  readonly #ended = (): void => { this.#socket.destroySoon() }
}

class HandshakeResponse extends ServerResponse {
  /** Called before anything is sent. */
  onHead: (() => void) | null = null

  override writeHead (...head: any[]): this {
    this.onHead?.()
    return super.writeHead(...head as [number])
  }
}

/** Takes the connection of a handshake from the router; null if the request is no handshake. */
export function takeHandshake (request: IncomingMessage): TakenHandshake | null {
  return handshakes.get(request)?.take() ?? null
}

/** Notes that one of our routes has the request, so that its answer reaches the client. */
export function claimHandshake (request: IncomingMessage): void {
  handshakes.get(request)?.claim()
}
