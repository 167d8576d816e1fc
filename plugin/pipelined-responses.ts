import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

const waitingOn = new WeakMap<Socket, Set<ServerResponse>>()

/** Whether a response has to wait for another on its connection, so that nothing of it can be sent yet. */
export function isPipelined (response: ServerResponse): boolean {
  // On HTTP/2 none waits for another.
  return (response as { stream?: unknown }).stream === undefined && response.socket === null
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
