import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { WebSocketPeer } from '../carriers/websocket-carrier.ts'
import type { Acceptance } from '../sessions/acceptance.ts'
import type { Endpoint } from '../sessions/endpoint.ts'
import { WebSocketReceiver, type ParseJson } from './websocket-receiver.ts'
import { openSocketStream, type ResolvedWebSocketOptions } from './websocket-upgrade.ts'

/** Takes a WebSocket that has been accepted for `GET url`. */
export function acceptSocket (endpoint: Endpoint, acceptance: Acceptance, options: ResolvedWebSocketOptions, parse: ParseJson, peer: WebSocketPeer, request: FastifyRequest): void {
  const stream = openSocketStream(request, peer, { ...options, goodbye: true }, endpoint.runtime)
  const receiver = new WebSocketReceiver({ endpoint, acceptance, peer, stream, request, parse, openTimeoutMs: options.openTimeoutMs })
  const pipe = request.raw.socket
  // Behind the stream's own listener: what waited has been written by then.
  pipe?.on('drain', () => { receiver.drained() })
}

/** The parser that the instance has for the JSON of a POST, unless the application put another in its place. */
export function jsonParser (instance: FastifyInstance): ParseJson {
  const { onProtoPoisoning = 'error', onConstructorPoisoning = 'error' } = instance.initialConfig as Record<string, 'error' | 'remove' | 'ignore'>
  const parse = instance.getDefaultJsonParser(onProtoPoisoning, onConstructorPoisoning) as unknown as (request: null, body: string, done: (error: Error | null, value: unknown) => void) => void
  return (text) => {
    let result: unknown
    // It calls back before it returns.
    parse(null, text, (error, value) => {
      if (error !== null) throw error
      result = value
    })
    return result
  }
}
