import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { defaults } from '../../schemas/defaults.ts'
import type { Connection } from './handshake.ts'

/** The last response to an ordinary request on each connection. */
const latest = new WeakMap<Duplex, ServerResponse>()

/** Notes what is to be answered before anything that comes behind it on the same connection. */
export function noteResponse (request: IncomingMessage, response: ServerResponse): void {
  // On HTTP/2 none waits for another.
  if (request.httpVersionMajor < 2) latest.set(request.socket, response)
}

/** A response that still has the connection; null where there is none. */
export function earlierResponse (socket: Duplex): ServerResponse | null {
  const response = latest.get(socket)
  return response === undefined || response.closed ? null : response
}

/**
 * Goes on as soon as a connection is free, with what came on it meanwhile.
 *
 * Node no longer reads from it. This does, for else nobody would notice that the client has left.
 */
export function afterResponse (response: ServerResponse, socket: Connection, proceed: (early: Buffer) => void): void {
  const early: Buffer[] = []
  let bytes = 0
  const keep = (piece: Buffer) => {
    early.push(piece)
    bytes += piece.length
    // The client keeps the rest until its turn comes.
    if (bytes > defaults.fixed.openingBytes) socket.pause()
  }
  const ended = () => { socket.destroySoon() }
  socket.on('data', keep)
  socket.on('end', ended)
  response.once('close', () => {
    socket.pause()
    socket.off('data', keep)
    socket.off('end', ended)
    if (socket.destroyed || socket.writableEnded) return
    // It flows from the next tick on, to whoever listens by then.
    socket.resume()
    proceed(Buffer.concat(early))
  })
}
