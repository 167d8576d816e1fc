import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Scope } from './transport-under-test.ts'

/** A piece of network between client and server, which can fail. */
export interface Link {
  /** To connect to in place of the server's. */
  readonly port: number
  /** Carries nothing more from the server: on any protocol, the connection backs up without a word. */
  freeze: () => void
  thaw: () => void
  /** Breaks all connections. */
  cut: () => void
  /** Of the next POST, breaks the connection when the server has answered, before a byte of that has gone through. */
  loseAnswer: () => void
}

/** Puts a link before a port of the loopback; it is taken down with its scope. */
export async function startLink (scope: Scope, port: number): Promise<Link> {
  const sockets = new Set<Socket>()
  /** By the side of the server, the side of the client. */
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
