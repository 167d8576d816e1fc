import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Scope } from './redis-process.ts'

/** A place between a client and a server where the weather is made. */
export interface Relay {
  readonly port: number
  /** Where new connections go. */
  target: number
  /** Breaks all connections. New ones break at once, until `mend`. */
  cut: () => void
  /** Carries nothing more in either direction and ends nothing, until `mend`. */
  freeze: () => void
  mend: () => void
  /** Carries everything so many milliseconds later, from now on. */
  delayMs: number
  /** Connections that are open now. */
  readonly connections: number
}

export async function startRelay (scope: Scope, target: number): Promise<Relay> {
  const pairs = new Set<readonly [Socket, Socket]>()
  let state: 'open' | 'cut' | 'frozen' = 'open'
  const server = createServer((near) => {
    if (state === 'cut') {
      near.destroy()
      return
    }
    const far = connect(relay.target, '127.0.0.1')
    const pair = [near, far] as const
    pairs.add(pair)
    for (const [from, to] of [[near, far], [far, near]] as const) {
      from.on('data', (bytes) => {
        if (relay.delayMs === 0) to.write(bytes)
        else setTimeout(() => { if (!to.destroyed) to.write(bytes) }, relay.delayMs)
      })
      from.on('error', () => {})
      from.on('close', () => {
        pairs.delete(pair)
        to.destroy()
      })
      if (state === 'frozen') from.pause()
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // What keeps the process alive is counted by the contract.
  server.unref()
  const each = (act: (socket: Socket) => void) => { for (const pair of [...pairs]) for (const socket of pair) act(socket) }
  const relay: Relay = {
    port: (server.address() as AddressInfo).port,
    target,
    delayMs: 0,
    cut () {
      state = 'cut'
      each((socket) => { socket.destroy() })
    },
    freeze () {
      state = 'frozen'
      each((socket) => { socket.pause() })
    },
    mend () {
      state = 'open'
      each((socket) => { socket.resume() })
    },
    get connections () { return pairs.size }
  }
  scope.after(async () => {
    const closed = once(server, 'close')
    server.close()
    each((socket) => { socket.destroy() })
    await closed
  })
  return relay
}
