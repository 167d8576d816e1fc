import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ModeError } from '../../schemas/errors.ts'
import { logThrown } from '../../schemas/thrown.ts'
import type { WebSocketPeer } from '../carriers/websocket-carrier.ts'
import { claimHandshake, takeHandshake, wantsWebSocket } from './handshake.ts'
import { UpgradeRelay, isRouted } from './upgrade-relay.ts'

/** Handles the WebSockets of a route. */
export type SocketHandler = (peer: WebSocketPeer, request: FastifyRequest) => void

/** Counts WebSockets that ended because of what their client sent. */
interface SocketFaults { socketFaults: number }

/** The WebSocket server that `@fastify/websocket` makes for an instance. */
interface SocketServer {
  handleUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer, accept: (peer: WebSocketPeer) => void) => void
}

/**
 * Enables WebSockets on the routes of an instance. If the application has registered
 * `@fastify/websocket`, that serves them. Otherwise this function registers one for these routes
 * alone; it gets its requests from the router.
 *
 * @returns whether that of the application serves them
 */
export async function enableWebSockets (routes: FastifyInstance, mode: string, maxPayload: number, faults: SocketFaults): Promise<boolean> {
  // A hook of the application may refuse an upgrade before its `@fastify/websocket` sees it. Then nothing reads from the connection any more.
  routes.addHook('onResponse', function endRefusedTetherUpgrade (request, _reply, done) {
    if (wantsWebSocket(request.raw.headers) && isRouted(request.raw) && request.ws !== true) request.raw.socket.destroySoon()
    done()
  })
  if (routes.hasDecorator('websocketServer')) return true
  UpgradeRelay.install(routes)
  routes.addHook('onSend', function answerTetherHandshake (request, _reply, payload, done) {
    claimHandshake(request.raw)
    done(null, payload)
  })
  await routes.register(await load(mode), {
    // An emitter of its own: on the real server it would take every request for an upgrade.
    options: { server: new EventEmitter() as never, maxPayload },
    // Our streams end by themselves, with a goodbye.
    preClose: (done: () => void) => { done() },
    // The socket is closed already, with the code of its fault.
    errorHandler: (error: Error, _socket: unknown, request: { log: FastifyInstance['log'] }) => { noteFault(error, request, faults) }
  })
  return false
}

/**
 * Counts the faults of a WebSocket that the `@fastify/websocket` of the application serves. Its `errorHandler` runs as ever, but
 * what that logs as an error is at level `debug`: the default one would log each faulty frame.
 */
export function noteFaultsOf (peer: WebSocketPeer, request: FastifyRequest, faults: SocketFaults): void {
  const { log } = request
  const quiet = Object.create(log, { error: { value: log.debug.bind(log) } }) as typeof log
  const emitter = peer as unknown as EventEmitter
  emitter.prependListener('error', (error: Error) => {
    noteFault(error, { log }, faults)
    request.log = quiet
  })
  emitter.on('error', () => { request.log = log })
}

/** Accepts a WebSocket handshake that the router delivered. Returns false if the request is none. */
export function acceptHandshake (request: FastifyRequest, reply: FastifyReply, handler: SocketHandler, faults: SocketFaults): boolean {
  const handshake = takeHandshake(request.raw)
  if (handshake === null) return false
  reply.hijack()
  const { websocketServer } = request.server as unknown as { websocketServer: SocketServer }
  websocketServer.handleUpgrade(request.raw, handshake.socket, handshake.head, (peer) => {
    peer.on('error', (error: Error) => { noteFault(error, request, faults) })
    handler(peer, request)
  })
  return true
}

/** Strangers decide how often this happens, so it is counted, and logged at a level that is off by default. */
function noteFault (error: Error, { log }: { log: FastifyInstance['log'] }, faults: SocketFaults): void {
  faults.socketFaults++
  logThrown(log, 'debug', error, 'a WebSocket failed')
}

/** Imports the package only when it is needed: most applications do not have it. */
async function load (mode: string) {
  try {
    return (await import('@fastify/websocket')).default
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes('@fastify/websocket')) throw error
    throw new ModeError(mode, 'needs a package that is not installed: npm install @fastify/websocket')
  }
}

/** Whether a server speaks only HTTP/2, which has no upgrade. */
export function isHttp2Only (instance: Pick<FastifyInstance, 'initialConfig'>): boolean {
  const { http2, https } = instance.initialConfig as { http2?: boolean, https?: boolean | { allowHTTP1?: boolean } }
  return http2 === true && !(typeof https === 'object' && https.allowHTTP1 === true)
}
