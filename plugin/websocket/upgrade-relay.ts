import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { afterResponse, earlierResponse, noteResponse } from './earlier-response.ts'
import { Handshake, isHandshake, type Connection } from './handshake.ts'

/** Node's server; newer ones ask for each request whether its upgrade is wanted. */
type Server = FastifyInstance['server'] & { shouldUpgradeCallback?: (request: IncomingMessage) => boolean }

const installed = new WeakSet<Server>()

/**
 * Takes a server's requests for an upgrade, all of which Node hands to whoever listens.
 *
 * A handshake for a WebSocket goes through the router: our route takes it up, any other
 * answers it as the GET that it is. What asks for anything else goes back to the server as
 * an ordinary request, body and all. Either waits until what came before it on its connection
 * has been answered.
 */
export class UpgradeRelay {
  readonly #instance: FastifyInstance
  readonly #server: Server

  private constructor (instance: FastifyInstance) {
    this.#instance = instance
    this.#server = instance.server
  }

  /** Sees to it that the server of an instance has one. */
  static install (instance: FastifyInstance): void {
    if (installed.has(instance.server)) return
    installed.add(instance.server)
    new UpgradeRelay(instance).#listen()
  }

  #listen (): void {
    const server = this.#server
    const isWanted = server.shouldUpgradeCallback
    if (typeof isWanted === 'function') {
      server.shouldUpgradeCallback = (request) => (isHandshake(request) || this.#isForOthers(request)) && isWanted.call(server, request)
    }
    server.prependListener('request', noteResponse)
    server.on('upgrade', (request: IncomingMessage, socket: Connection, head: Buffer) => {
      const failed = () => { socket.destroy() }
      socket.on('error', failed)
      // By then all others who listen have seen it, too.
      process.nextTick(() => {
        if (isRouted(request) || isTaken(socket)) return
        if (!isHandshake(request) && this.#isForOthers(request)) return
        const earlier = earlierResponse(socket)
        if (earlier === null) {
          this.#relay(request, socket, head, failed)
        } else if (this.#hasOthers) {
          // They may want what comes on the connection.
          earlier.once('close', () => {
            if (isTaken(socket)) return
            this.#renew(request)
            this.#relay(request, socket, head, failed)
          })
        } else {
          afterResponse(earlier, socket, (early) => {
            this.#renew(request)
            this.#relay(request, socket, Buffer.concat([head, early]), failed)
          })
        }
      })
    })
  }

  /** Node has given the connection as much time as one gets on which nothing has been asked for. */
  #renew ({ socket }: IncomingMessage): void {
    socket.setTimeout(this.#server.timeout)
  }

  #relay (request: IncomingMessage, socket: Connection, head: Buffer, failed: () => void): void {
    if (isHandshake(request)) {
      new Handshake(request, socket, head, this.#hasOthers).route(this.#instance)
    } else {
      socket.off('error', failed)
      this.#serve(request, socket, head)
    }
  }

  /** Whether others listen for upgrades. */
  get #hasOthers (): boolean {
    return this.#server.listenerCount('upgrade') > 1
  }

  /** Whether somebody else may know what is asked for. Nobody knows HTTP/2, which Node does not begin by an upgrade. */
  #isForOthers ({ headers }: IncomingMessage): boolean {
    return this.#hasOthers && headers.upgrade?.toLowerCase() !== 'h2c'
  }

  /** Has the server treat a request as if no upgrade had been asked for. */
  #serve (request: IncomingMessage, socket: Connection, head: Buffer): void {
    // From Node 25 on the request has its body.
    if (socket !== request.socket as unknown || request.readableLength > 0) {
      this.#instance.routing(request as never, lastResponse(request, request.socket as unknown as Connection) as never)
      return
    }
    socket.unshift(Buffer.concat([Buffer.from(ordinaryHead(request), 'latin1'), head]))
    this.#server.emit(socket.encrypted === true ? 'secureConnection' : 'connection', socket)
  }
}

/** A response after which its connection is closed. */
function lastResponse (request: IncomingMessage, socket: Connection): ServerResponse {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket as never)
  response.on('finish', () => { socket.destroySoon() })
  return response
}

/** The head of a request as it came, but for the wish to upgrade. */
function ordinaryHead ({ method, url, httpVersion, rawHeaders }: IncomingMessage): string {
  let head = `${method} ${url} HTTP/${httpVersion}\r\n`
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!
    let value = rawHeaders[at + 1]!
    if (name.toLowerCase() === 'connection') {
      value = value.split(',').map((token) => token.trim()).filter((token) => token.toLowerCase() !== 'upgrade').join(', ')
      if (value === '') continue
    }
    head += `${name}: ${value}\r\n`
  }
  return `${head}\r\n`
}

/** Whether an `@fastify/websocket` of the application's, of some other part of it, has sent it through the router. */
export function isRouted (request: IncomingMessage): boolean {
  return Object.getOwnPropertySymbols(request).some(({ description }) => description === 'ws-socket')
}

/** Whether somebody else has begun to read from a connection or to write to it. */
function isTaken (socket: Duplex): boolean {
  return socket.destroyed || socket.writableEnded || socket.readableFlowing !== null || socket.listenerCount('readable') > 0 ||
    // What is still to be written may be the response before.
    (socket.writableLength > 0 && earlierResponse(socket) === null)
}
