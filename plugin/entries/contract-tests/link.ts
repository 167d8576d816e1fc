import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Scope } from './transport-under-test.ts'

/** A network link between client and server that can fail. */
export interface Link {
  /** The port to connect to in place of the server's. */
  readonly port: number
  /** Carries nothing more from the server: on any protocol, the connection backs up silently. */
  freeze: () => void
  thaw: () => void
  /** Breaks all connections. */
  cut: () => void
  /** Breaks the connection of the next POST when the server has answered, before a byte of the answer has passed. */
  loseAnswer: () => void
}

/** Puts a link before a port of the loopback. It ends with its scope. */
export async function startLink (scope: Scope, port: number): Promise<Link> {
  const sockets = new Set<Socket>()
  /** The client's side, by the server's side. */
  const pairs = new Map<Socket, Socket>()
  let frozen = false
  let isLosing = false
  const listener = createServer((outside) => {
    const inside = connect(port, '127.0.0.1')
    for (const socket of [outside, inside]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        pairs.delete(inside)
        outside.destroy()
        inside.destroy()
      })
    }
    outside.pipe(inside)
    outside.on('data', (piece: Buffer) => {
      if (!isLosing || !piece.includes('POST ')) return
      isLosing = false
      inside.unpipe(outside)
      inside.once('data', () => { outside.resetAndDestroy() }).resume()
    })
    if (!frozen) inside.pipe(outside)
    pairs.set(inside, outside)
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const cut = () => { for (const socket of sockets) socket.resetAndDestroy() }
  scope.after(() => {
    cut()
    listener.close()
  })
  return {
    port: (listener.address() as AddressInfo).port,
    freeze: () => {
      frozen = true
      for (const inside of pairs.keys()) inside.unpipe()
    },
    thaw: () => {
      frozen = false
      for (const [inside, outside] of pairs) inside.pipe(outside)
    },
    cut,
    loseAnswer: () => { isLosing = true }
  }
}
