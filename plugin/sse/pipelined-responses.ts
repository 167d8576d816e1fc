import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

const waitingOn = new WeakMap<Socket, Set<ServerResponse>>()

/** The latest response on a connection that is, or is to be, an event stream. */
const streams = new WeakMap<Socket, ServerResponse>()

/**
 * Whether a response is pipelined behind an event stream on its connection. Then nothing of it can
 * be sent before that stream ends. If not, the response is noted as the connection's latest stream.
 */
export function standsBehindStream (response: ServerResponse, socket: Socket): boolean {
  // On HTTP/2 no response waits for another.
  if ((response as { stream?: unknown }).stream !== undefined) return false
  const first = streams.get(socket)
  if (first !== undefined && first !== response && !first.writableEnded && !first.destroyed) return true
  streams.set(socket, response)
  return false
}

/**
 * Makes a response emit `close` when its connection closes.
 *
 * A pipelined response has no socket until its turn comes. Node reports the loss of the
 * connection only to the response that has the socket.
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
