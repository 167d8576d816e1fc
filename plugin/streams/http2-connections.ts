import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'

/** HTTP/2 connections that carried a stream. Fastify leaves them open when it closes. */
export class Http2Connections {
  readonly #sockets = new Map<ServerHttp2Session, Socket>()
  /** Time for a peer to close its side, in milliseconds; null until the server closes. */
  #withinMs: number | null = null

  /** Notes the connection of a stream, for `close`. After `close`, it closes the connection at once. */
  note ({ session }: ServerHttp2Stream): void {
    const connection = session as ServerHttp2Session | undefined
    // A broken connection has no socket any more.
    if (connection === undefined || connection.destroyed || this.#sockets.has(connection)) return
    // Node's proxy of the socket hides `destroy`; its methods return the socket itself.
    const socket = connection.socket.once('close', () => { this.#sockets.delete(connection) })
    this.#sockets.set(connection, socket)
    if (this.#withinMs !== null) this.#close(connection, socket, this.#withinMs)
  }

  /** Lets all streams end, then closes the connections. Destroys a connection if its peer does not close its side in time. */
  async close (withinMs: number): Promise<void> {
    this.#withinMs = withinMs
    await Promise.all([...this.#sockets].map(([connection, socket]) => this.#close(connection, socket, withinMs)))
  }

  #close (connection: ServerHttp2Session, socket: Socket, withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => socket.destroy(), withinMs)
      socket.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
      connection.close()
    })
  }
}
