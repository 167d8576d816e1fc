import { connect, type Socket } from 'node:net'

/** A bare connection, read in turns. */
export class Connection {
  readonly #socket: Socket
  #received: Buffer[] = []
  #isClosed = false
  #wake: (() => void) | null = null

  constructor (port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.#socket.on('data', (bytes) => {
      this.#received.push(bytes)
      this.#wake?.()
    })
    this.#socket.on('error', () => {})
    this.#socket.on('close', () => {
      this.#isClosed = true
      this.#wake?.()
    })
  }

  get isClosed (): boolean { return this.#isClosed }

  write (bytes: Buffer): void { this.#socket.write(bytes) }

  /** Says that no more will be written. */
  end (): void { this.#socket.end() }

  destroy (): void { this.#socket.resetAndDestroy() }

  /** What came since the last call, as soon as there is something; null once the connection is closed. Rejects when it takes too long. */
  async read (withinMs: number): Promise<Buffer | null> {
    if (this.#received.length === 0 && !this.#isClosed) {
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>((resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`nothing came within ${withinMs} ms`)), withinMs)
        this.#wake = resolve
      })
      clearTimeout(timer)
      this.#wake = null
    }
    if (this.#received.length === 0) return null
    const bytes = this.#received.length === 1 ? this.#received[0]! : Buffer.concat(this.#received)
    this.#received = []
    return bytes
  }
}
