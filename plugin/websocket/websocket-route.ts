import type { FastifyInstance } from 'fastify'
import { WebSocketReceiver, type ParseJson, type WebSocketReceiverParts } from './websocket-receiver.ts'
import { openSocketStream, type ResolvedWebSocketOptions } from './websocket-upgrade.ts'

/** Starts a session's stream on a WebSocket that `GET url` has accepted. */
export function acceptSocket (parts: Omit<WebSocketReceiverParts, 'stream' | 'openTimeoutMs'>, options: ResolvedWebSocketOptions): void {
  const { endpoint, peer, request } = parts
  const stream = openSocketStream(request, peer, options, endpoint.runtime)
  const receiver = new WebSocketReceiver({ ...parts, stream, openTimeoutMs: options.openTimeoutMs })
  const pipe = request.raw.socket
  // This listener runs behind the stream's own: by then the waiting frames are written.
  pipe?.on('drain', () => { receiver.drained() })
}

/** Fastify's own JSON parser, with the settings of the instance. */
export function jsonParser (instance: FastifyInstance): ParseJson {
  const { onProtoPoisoning = 'error', onConstructorPoisoning = 'error' } = instance.initialConfig as Record<string, 'error' | 'remove' | 'ignore'>
  const parse = instance.getDefaultJsonParser(onProtoPoisoning, onConstructorPoisoning) as unknown as (request: null, body: string, done: (error: Error | null, value: unknown) => void) => void
  return (text) => {
    let result: unknown
    // The parser calls back before it returns.
    parse(null, text, (error, value) => {
      if (error !== null) throw error
      result = value
    })
    return result
  }
}
