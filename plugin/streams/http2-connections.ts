import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'

/** HTTP/2 connections that carried a stream, which Fastify leaves open when it closes. */
export class Http2Connections {
  readonly #sockets = new Map<ServerHttp2Session, Socket>()
  /** How long the peer of a connection has to close its side; null until the server ends. */
  #withinMs: number | null = null

  /** Notes the connection of a stream; it is ended with all others, or at once when these were. */
  note ({ session }: ServerHttp2Stream): void {
    const connection = session as ServerHttp2Session | undefined
    // One that is lost has no socket any more.
    if (connection === undefined || connection.destroyed || this.#sockets.has(connection)) return
    // Node's stand-in for the socket keeps `destroy` back; what its methods return is the socket itself.
    const socket = connection.socket.once('close', () => { this.#sockets.delete(connection) })
    this.#sockets.set(connection, socket)
    if (this.#withinMs !== null) this.#end(connection, socket, this.#withinMs)
  }

  /** Lets what runs on them end, and closes them; destroys those whose peer does not close its side in time. */
  async end (withinMs: number): Promise<void> {
    this.#withinMs = withinMs
    await Promise.all([...this.#sockets].map(([connection, socket]) => this.#end(connection, socket, withinMs)))
  }

  #end (connection: ServerHttp2Session, socket: Socket, withinMs: number): Promise<void> {
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
