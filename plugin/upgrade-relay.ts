import { EventEmitter } from 'node:events'
import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'

type Server = FastifyInstance['server']

const relays = new WeakMap<Server, UpgradeRelay>()

/**
 * Hands requests for an upgrade to `@fastify/websocket`, which would take all of a
 * server's: each that it is registered with, every URL's, and those that are for
 * somebody else.
 */
export class UpgradeRelay {
  /** What the first `@fastify/websocket` listens to in place of the server. It sends the request through the router, whose routes are everybody's. */
  readonly #source = new EventEmitter()
  readonly #server: Server
  readonly #urls: RegExp[] = []
  #isTaken = false

  constructor (server: Server) {
    this.#server = server
  }

  static of (instance: FastifyInstance): UpgradeRelay {
    let relay = relays.get(instance.server)
    if (relay === undefined) {
      relay = new UpgradeRelay(instance.server)
      relays.set(instance.server, relay)
      relay.#listen(instance)
    }
    return relay
  }

  /** The emitter for one more registration: only the first gets to see anything. */
  source (): EventEmitter {
    if (this.#isTaken) return new EventEmitter()
    this.#isTaken = true
    return this.#source
  }

  /** Notes that a route's URL, with its prefix, takes WebSockets. */
  claim (url: string): void {
    this.#urls.push(urlPattern(url))
  }

  #listen (instance: FastifyInstance): void {
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      // The application's own `@fastify/websocket`, of some other part of it, has it already.
      if (Object.getOwnPropertySymbols(request).some(({ description }) => description === 'ws-socket')) return
      const path = (request.url ?? '').replace(/[?#].*/, '')
      if (wantsWebSocket(request.headers) && this.#urls.some((url) => url.test(path))) this.#source.emit('upgrade', request, socket, head)
      else if (this.#server.listenerCount('upgrade') === 1) answer(instance, request, socket)
    })
  }
}

export function wantsWebSocket (headers: IncomingMessage['headers']): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket'
}

/** Answers as if no upgrade had been asked for, which is what Node does where nobody listens. */
function answer (instance: FastifyInstance, request: IncomingMessage, socket: Duplex): void {
  socket.on('error', () => { socket.destroy() })
  const response = new ServerResponse(request)
  // Nothing reads further requests from the connection.
  response.shouldKeepAlive = false
  response.assignSocket(socket as never)
  response.on('finish', () => { (socket as Duplex & { destroySoon: () => void }).destroySoon() })
  // Nor does anything read a body from it.
  if (request.method === 'GET' || request.method === 'HEAD') instance.routing(request as never, response as never)
  else response.writeHead(400).end()
}

/** Matches at least the paths that the router would. */
function urlPattern (url: string): RegExp {
  const source = url.replace(/::|:\w+(\(.*?\))?\??|\*|[^:*]+|:/g, (part) => {
    if (part === '::') return ':'
    if (part === '*') return '.*'
    if (part.startsWith(':') && part.length > 1) return '[^/]*'
    return part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  })
  return new RegExp(`^${source}/?$`, 'i')
}
