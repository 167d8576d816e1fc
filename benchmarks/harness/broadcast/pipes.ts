import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** Asked for by a reader that is not going to read, or only slowly. */
export const blockedQuery = '?blocked'

const piece = Buffer.from(`:${'x'.repeat(65_533)}\n\n`)
/** A pipe that takes nothing for so long is full. */
const patienceMs = 100
/** Loopback takes some megabytes before anything is felt; far more would be a reader that reads. */
const limitBytes = 64 * 1024 * 1024

/** The connections of streams that are not read, or only slowly. */
export class BlockedPipes {
  readonly #sockets = new Set<Socket>()

  /** Knows them from now on, whatever answers their requests. */
  watch (server: Server): void {
    const add = ({ url, socket }: IncomingMessage): void => {
      if (url?.endsWith(blockedQuery) !== true) return
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    }
    server.prependListener('request', add)
    server.prependListener('upgrade', add)
  }

  /** Fills each until it takes no more, so that what is sent afterwards is felt. */
  async fill (): Promise<void> {
    await Promise.all([...this.#sockets].map(fillOne))
  }
}

/** Past the server: a reader that takes nothing does not mind what the framing is. */
async function fillOne (socket: Socket): Promise<void> {
  for (let written = 0; written < limitBytes; written += piece.length) {
    if (socket.write(piece)) continue
    await delay(patienceMs)
    if (socket.writableNeedDrain) return
  }
  throw new Error('a stream that is not read took more than a pipe can hold')
}
