import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** Query of a reader that will read nothing, or only slowly. */
export const blockedQuery = '?blocked'

const piece = Buffer.from(`:${'x'.repeat(65_533)}\n\n`)
/** A pipe that takes nothing for this time is full. */
const patienceMs = 100
/** Loopback buffers some megabytes before a server notices. A pipe that takes far more has a reader that reads. */
const limitBytes = 64 * 1024 * 1024

/** The connections of streams that are not read, or only slowly. */
export class BlockedPipes {
  readonly #sockets = new Set<Socket>()

  /** Collects these connections from now on, with any kind of server. */
  watch (server: Server): void {
    const add = ({ url, socket }: IncomingMessage): void => {
      if (url?.endsWith(blockedQuery) !== true) return
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    }
    server.prependListener('request', add)
    server.prependListener('upgrade', add)
  }

  /** Fills each pipe until it takes no more, so that the server notices later writes. */
  async fill (): Promise<void> {
    await Promise.all([...this.#sockets].map(fillOne))
  }
}

/** Writes past the server: a reader that takes nothing needs no correct framing. */
async function fillOne (socket: Socket): Promise<void> {
  for (let written = 0; written < limitBytes; written += piece.length) {
    if (socket.write(piece)) continue
    await delay(patienceMs)
    if (socket.writableNeedDrain) return
  }
  throw new Error('a stream that is not read took more than a pipe can hold')
}
