import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { turns } from '../../e2e/harness/until.ts'

/** Where a test registers what ends with it. */
export interface Scope { readonly after: (end: () => unknown) => void }

/** A place between a client and a server where the weather is made. */
export interface Relay {
  readonly port: number
  /** Where new connections go. */
  target: number
  /** Breaks all connections. New ones break at once, until `mend`. Resolves when a client of this process can have noticed. */
  cut: () => Promise<void>
  /** Carries nothing more in either direction and ends nothing, until `mend`. */
  freeze: () => void
  mend: () => void
  /** Carries everything so many milliseconds later, from now on. */
  delayMs: number
}

export async function startRelay (scope: Scope, target: number): Promise<Relay> {
  const sockets = new Set<Socket>()
  let state: 'open' | 'cut' | 'frozen' = 'open'
  const server = createServer({ noDelay: true }, (near) => {
    if (state === 'cut') {
      near.resetAndDestroy()
      return
    }
    const far = connect({ port: relay.target, host: '127.0.0.1', noDelay: true })
    for (const [from, to] of [[near, far], [far, near]] as const) {
      sockets.add(from)
      from.on('error', () => {}).on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      const late: Buffer[] = []
      const carry = (bytes: Buffer) => {
        if (to.destroyed || to.write(bytes)) return
        from.pause()
        to.once('drain', () => { if (state !== 'frozen') from.resume() })
      }
      from.on('data', (bytes) => {
        if (relay.delayMs === 0 && late.length === 0) {
          carry(bytes)
          return
        }
        // The oldest go first, also when the delay has changed.
        late.push(bytes)
        setTimeout(() => { carry(late.shift()!) }, relay.delayMs)
      })
      if (state === 'frozen') from.pause()
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // What keeps the process alive is counted by the contract.
  server.unref()
  const relay: Relay = {
    port: (server.address() as AddressInfo).port,
    target,
    delayMs: 0,
    async cut () {
      state = 'cut'
      for (const socket of sockets) socket.destroy()
      await turns(20)
    },
    freeze () {
      state = 'frozen'
      for (const socket of sockets) socket.pause()
    },
    mend () {
      state = 'open'
      for (const socket of sockets) socket.resume()
    }
  }
  scope.after(async () => {
    const closed = once(server, 'close')
    server.close()
    await relay.cut()
    await closed
  })
  return relay
}
