import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { defaults } from '../../schemas/defaults.ts'
import type { Connection } from './handshake.ts'

/** The last response to an ordinary request on each connection. */
const latest = new WeakMap<Duplex, ServerResponse>()

/** Notes a response. Later requests on its connection must wait for it. */
export function noteResponse (request: IncomingMessage, response: ServerResponse): void {
  // On HTTP/2 no response waits for another.
  if (request.httpVersionMajor < 2) latest.set(request.socket, response)
}

/** The response that still uses the connection; null if none does. */
export function earlierResponse (socket: Duplex): ServerResponse | null {
  const response = latest.get(socket)
  return response === undefined || response.closed ? null : response
}

/**
 * Calls `proceed` when the response has ended, with the bytes that arrived meanwhile.
 *
 * Node no longer reads from the connection. This function does, to notice when the client leaves.
 */
export function afterResponse (response: ServerResponse, socket: Connection, proceed: (early: Buffer) => void): void {
  const early: Buffer[] = []
  let bytes = 0
  const keep = (piece: Buffer) => {
    early.push(piece)
    bytes += piece.length
    // The rest stays with the client until its turn comes.
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
    // Data flows from the next tick on, to the listeners of that time.
    socket.resume()
    proceed(Buffer.concat(early))
  })
}
