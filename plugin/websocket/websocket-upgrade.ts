import type { Duplex } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { closeCodes } from '../../schemas/close-code.ts'
import { NoSocketError } from '../../schemas/errors.ts'
import type { OptionsOf, optionTable } from '../../schemas/option-table.ts'
import { WebSocketCarrier, type WebSocketPeer } from '../carriers/websocket-carrier.ts'
import { turnedAwayFrame } from '../protocol/control-frame.ts'
import { encodeRetry } from '../protocol/frame.ts'
import { lastEventId } from '../protocol/last-event-id.ts'
import { FrameStream } from '../streams/frame-stream.ts'
import { PlainTransport } from '../streams/plain-transport.ts'
import type { Runtime } from '../streams/runtime.ts'
import type { AnyRequest, Transport } from '../streams/transport.ts'

/** Options of `app.tether.websocket.upgrade()`. */
export interface WebSocketUpgradeOptions extends OptionsOf<typeof optionTable.stream>, OptionsOf<typeof optionTable.websocket> {}

export type ResolvedWebSocketOptions = Readonly<Required<WebSocketUpgradeOptions>>

const keepAliveMs = 30_000
const closedState = 3

const resolvedOptions = Symbol('fastify-tether.websocket')

/**
 * Turns a WebSocket into a transport. Its text messages carry the same event stream as
 * server-sent events. `socket` is the first argument of a route of `@fastify/websocket`.
 *
 * @returns a promise that rejects only with `FST_ERR_TETHER_NO_SOCKET`, if `socket` is no WebSocket.
 */
export interface WebSocketUpgrade {
  (request: AnyRequest, socket: WebSocketPeer): Promise<Transport>
  readonly [resolvedOptions]: ResolvedWebSocketOptions
}

export function createWebSocketUpgrade (options: ResolvedWebSocketOptions, runtime: Runtime): WebSocketUpgrade {
  const upgrade = async (request: AnyRequest, socket: WebSocketPeer) => {
    if (!isSocket(socket)) throw new NoSocketError(adviceFor(request, socket))
    return new PlainTransport(openSocketStream(request, socket, options, runtime), lastEventId(request), runtime)
  }
  return Object.assign(upgrade, { [resolvedOptions]: options } as const)
}

const methods = ['close', 'terminate', 'ping', 'pause', 'resume', 'on'] as const

function isSocket (socket: unknown): socket is WebSocketPeer {
  const peer = socket as Partial<WebSocketPeer> | null | undefined
  return typeof peer?.readyState === 'number' && methods.every((name) => typeof peer[name] === 'function')
}

/** Advice for a caller that gave another value in place of a socket. */
function adviceFor (request: unknown, socket: unknown): string {
  if (isSocket(request)) return 'the request comes first, then the socket'
  const server = (socket as Partial<FastifyReply> | null | undefined)?.server ?? (request as Partial<FastifyRequest> | null | undefined)?.server
  if (server?.hasDecorator('websocketServer') === true) {
    return 'the route needs { websocket: true }, and must be made after @fastify/websocket has been registered (with await); its handler gets the socket, and then the request'
  }
  return 'register @fastify/websocket (with await) before the route, which needs { websocket: true }'
}

/** The options of an upgrade by `app.tether.websocket.upgrade()`; null for any other value. */
export function webSocketOptions (upgrade: unknown): ResolvedWebSocketOptions | null {
  return (upgrade as Partial<WebSocketUpgrade> | null | undefined)?.[resolvedOptions] ?? null
}

/** Opens the stream on a WebSocket that was just accepted. */
export function openSocketStream (request: AnyRequest, peer: WebSocketPeer, options: ResolvedWebSocketOptions, runtime: Runtime): FrameStream {
  // When the application closes, a WebSocket server closes the sockets that it knows, without a goodbye.
  const { websocketServer } = request.server as { websocketServer?: { clients?: Set<unknown> } }
  websocketServer?.clients?.delete(peer)
  // A socket made by `injectWS` belongs to no connection of a request.
  const pipe = (request.raw.socket as Duplex | undefined) ?? (peer as unknown as { _socket: Duplex })._socket
  // TCP probes an idle peer, even without pings.
  request.raw.socket?.setKeepAlive?.(true, keepAliveMs)
  const opening = options.retryMs > 0 ? encodeRetry(options.retryMs) : ''
  const stream = new FrameStream(new WebSocketCarrier(peer, pipe, runtime.limits.writeBytes), options, runtime, opening, request.log, request.routeOptions.url)
  // Its `close` came before the stream's listener.
  if (peer.readyState === closedState) stream.destroy('client')
  // This stream opened after the server had said goodbye to the others.
  if (runtime.draining) stream.close(turnedAwayFrame('draining', options.goodbye), runtime.limits.shutdownMs, 'closed', closeCodes.tryLater)
  return stream
}
