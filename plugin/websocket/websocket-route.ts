import type { FastifyInstance } from 'fastify'
import { WebSocketReceiver, type ParseJson, type WebSocketReceiverParts } from './websocket-receiver.ts'
import { openSocketStream, type ResolvedWebSocketOptions } from './websocket-upgrade.ts'

/** Takes a WebSocket that has been accepted for `GET url`. */
export function acceptSocket (parts: Omit<WebSocketReceiverParts, 'stream' | 'openTimeoutMs'>, options: ResolvedWebSocketOptions): void {
  const { endpoint, peer, request } = parts
  const stream = openSocketStream(request, peer, options, endpoint.runtime)
  const receiver = new WebSocketReceiver({ ...parts, stream, openTimeoutMs: options.openTimeoutMs })
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
