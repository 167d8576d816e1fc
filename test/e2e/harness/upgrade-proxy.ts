import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'
import type { Server } from './server.ts'

/** A proxy's action on a request for a WebSocket. Every other request passes. */
export type Conduct =
  | { pass: true }
  /** Answers with this status. */
  | { status: number }
  /** Accepts the request, but carries no data. */
  | { swallow: true }
  /** Never answers. */
  | { hang: true }
  /** Passes the request, and cuts the connection after this many bytes from the server. */
  | { cutAfterBytes: number }
  /** Passes the request to another port. */
  | { elsewhere: number }

export interface UpgradeProxy {
  readonly port: number
  /** Port of the server for new connections. */
  target: number
  /** Requests for a WebSocket so far. */
  readonly upgrades: number
  conduct: Conduct
  /** Breaks all connections. */
  cut: () => void
}

/** Puts a proxy before a server. It ends with the test. */
export async function startUpgradeProxy (t: Test, server: Server, conduct: Conduct): Promise<UpgradeProxy> {
  const sockets = new Set<Socket>()
  let upgrades = 0
  const listener = createServer((outside) => {
    const keep = (socket: Socket, onClose: () => void) => {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        onClose()
      })
    }
    keep(outside, () => {})
    outside.once('data', (head: Buffer) => {
      const isUpgrade = /^upgrade: websocket\r$/im.test(head.toString('latin1'))
      const { conduct } = proxy
      const inside = connect(isUpgrade && 'elsewhere' in conduct ? conduct.elsewhere : proxy.target, '127.0.0.1')
      keep(inside, () => outside.destroy())
      outside.on('close', () => inside.destroy())
      if (isUpgrade) upgrades++
      if (!isUpgrade || 'pass' in conduct || 'cutAfterBytes' in conduct || 'elsewhere' in conduct) {
        inside.write(head)
        outside.pipe(inside)
        inside.pipe(outside)
        let bytes = 0
        if (isUpgrade && 'cutAfterBytes' in conduct) {
          inside.on('data', (piece) => {
            bytes += piece.length
            if (bytes > conduct.cutAfterBytes) for (const socket of [outside, inside]) socket.resetAndDestroy()
          })
        }
      } else if ('status' in conduct) {
        outside.end(`HTTP/1.1 ${conduct.status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`)
      } else if ('swallow' in conduct) {
        inside.write(head)
        inside.once('data', (answer: Buffer) => {
          outside.write(answer.subarray(0, answer.indexOf('\r\n\r\n') + 4))
          inside.resume()
        })
        outside.resume()
      }
    })
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    listener.close()
  })
  const proxy: UpgradeProxy = {
    port: (listener.address() as AddressInfo).port,
    target: server.port,
    get upgrades () { return upgrades },
    conduct,
    cut: () => { for (const socket of sockets) socket.resetAndDestroy() }
  }
  return proxy
}
