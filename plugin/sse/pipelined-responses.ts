import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

const waitingOn = new WeakMap<Socket, Set<ServerResponse>>()

/** The latest response on a connection that is, or is to be, an event stream. */
const streams = new WeakMap<Socket, ServerResponse>()

/**
 * Whether a response stands behind an event stream on its connection, so that nothing of it can be
 * sent before that ends. If not, it is noted as the one behind which others stand.
 */
export function standsBehindStream (response: ServerResponse, socket: Socket): boolean {
  // On HTTP/2 none waits for another.
  if ((response as { stream?: unknown }).stream !== undefined) return false
  const first = streams.get(socket)
  if (first !== undefined && first !== response && !first.writableEnded && !first.destroyed) return true
  streams.set(socket, response)
  return false
}

/**
 * Sees to it that a response hears when its connection closes.
 *
 * One that is pipelined behind another has no socket until its turn comes, and
 * Node tells only the one whose turn it is that the connection is gone.
 */
export function watchPipelined (response: ServerResponse, socket: Socket): void {
  if (response.socket !== null) return
  let waiting = waitingOn.get(socket)
  if (waiting === undefined) {
    const all = waiting = new Set<ServerResponse>()
    waitingOn.set(socket, all)
    socket.once('close', () => {
      waitingOn.delete(socket)
      for (const each of [...all]) {
        each.destroy()
        if (!each.closed) each.emit('close')
      }
    })
  }
  waiting.add(response)
  response.once('close', () => { waiting.delete(response) })
}
