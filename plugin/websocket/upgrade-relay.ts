import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { afterResponse, earlierResponse, noteResponse } from './earlier-response.ts'
import { Handshake, isHandshake, type Connection } from './handshake.ts'

/** Node's server. Newer versions ask a callback for each request whether to accept its upgrade. */
type Server = FastifyInstance['server'] & { shouldUpgradeCallback?: (request: IncomingMessage) => boolean }

const installed = new WeakSet<Server>()

/**
 * Handles a server's requests for an upgrade. With a listener for `upgrade`, Node gives all of them to the listeners.
 *
 * A WebSocket handshake goes through the router. Our route accepts it; any other route answers
 * it as an ordinary GET. A request for any other upgrade goes back to the server as an
 * ordinary request, with its body. Each request waits until the earlier requests on its
 * connection are answered.
 */
export class UpgradeRelay {
  readonly #instance: FastifyInstance
  readonly #server: Server

  private constructor (instance: FastifyInstance) {
    this.#instance = instance
    this.#server = instance.server
  }

  /** Installs a relay on the server of an instance, once. */
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
      // By the next tick all other listeners have seen the request, too.
      process.nextTick(() => {
        if (isRouted(request) || isTaken(socket)) return
        if (!isHandshake(request) && this.#isForOthers(request)) return
        const earlier = earlierResponse(socket)
        if (earlier === null) {
          this.#relay(request, socket, head, failed)
        } else if (this.#hasOthers) {
          // The other listeners may want the bytes on the connection.
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

  /** Sets the server's own timeout again: Node has given the connection the timeout of an idle one. */
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

  /** Whether there are other listeners for upgrades. */
  get #hasOthers (): boolean {
    return this.#server.listenerCount('upgrade') > 1
  }

  /** Whether another listener may handle the request. None can handle `h2c`: Node does not start HTTP/2 by an upgrade. */
  #isForOthers ({ headers }: IncomingMessage): boolean {
    return this.#hasOthers && headers.upgrade?.toLowerCase() !== 'h2c'
  }

  /** Makes the server treat a request as one without an upgrade. */
  #serve (request: IncomingMessage, socket: Connection, head: Buffer): void {
    // From Node 25 on, the request itself has its body.
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

/** The head of a request as it arrived, without the upgrade. */
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

/** Whether an `@fastify/websocket` in another part of the application has sent the request through the router. */
export function isRouted (request: IncomingMessage): boolean {
  return Object.getOwnPropertySymbols(request).some(({ description }) => description === 'ws-socket')
}

/** Whether other code has begun to read from a connection, or to write to it. */
function isTaken (socket: Duplex): boolean {
  return socket.destroyed || socket.writableEnded || socket.readableFlowing !== null || socket.listenerCount('readable') > 0 ||
    // The waiting bytes may belong to the earlier response.
    (socket.writableLength > 0 && earlierResponse(socket) === null)
}
