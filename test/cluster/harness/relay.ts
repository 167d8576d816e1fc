import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { turns } from '../../e2e/harness/until.ts'
import type { AtEnd } from './nats.ts'

/** Stands between one client and a server, and can cut or freeze all that passes. */
export class Relay {
  readonly #targetPort: () => number
  readonly #sockets = new Set<Socket>()
  #listener: Server
  #isCut = false
  #isFrozen = false

  private constructor (targetPort: () => number) {
    this.#targetPort = targetPort
    this.#listener = createServer({ noDelay: true }, (outside) => { this.#join(outside) })
  }

  static async start (atEnd: AtEnd, targetPort: () => number): Promise<Relay> {
    const relay = new Relay(targetPort)
    await new Promise<void>((resolve) => { relay.#listener.listen(0, '127.0.0.1', resolve) })
    // It outlives its client, and is none of the client's resources.
    relay.#listener.unref()
    atEnd(() => {
      relay.#listener.close()
      return relay.cut()
    })
    return relay
  }

  get port (): number {
    return (this.#listener.address() as AddressInfo).port
  }

  #join (outside: Socket): void {
    if (this.#isCut) {
      outside.resetAndDestroy()
      return
    }
    const inside = connect({ port: this.#targetPort(), host: '127.0.0.1', noDelay: true })
    for (const [from, to] of [[outside, inside], [inside, outside]] as const) {
      this.#sockets.add(from)
      from.on('error', () => {}).on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
      from.on('data', (data) => {
        if (to.write(data)) return
        from.pause()
        to.once('drain', () => { if (!this.#isFrozen) from.resume() })
      })
      if (this.#isFrozen) from.pause()
    }
  }

  /** Breaks all connections. New ones break at once, until `mend`. Resolves when a client of this process can have noticed. */
  async cut (): Promise<void> {
    this.#isCut = true
    for (const socket of this.#sockets) socket.destroy()
    await turns(20)
  }

  /** Carries nothing more, and ends nothing, until `mend`. */
  freeze (): void {
    this.#isFrozen = true
    for (const socket of this.#sockets) socket.pause()
  }

  mend (): void {
    this.#isCut = this.#isFrozen = false
    for (const socket of this.#sockets) socket.resume()
  }
}
