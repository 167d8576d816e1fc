import net from 'node:net'

export interface StreamsOptions {
  readonly port: number
  readonly path: string
  readonly headers: Record<string, string>
  readonly count: number
  /** How many may be on their way to the first frame at once. */
  readonly concurrency?: number
  /** Bounds the opening of all of them. */
  readonly timeoutMs?: number
}

/** Below the some 28,000 ports that one loopback address can lend towards one server. */
const streamsPerSourceAddress = 20_000

const firstFrame = /^HTTP\/1\.1 200 [^]*?\r\n\r\n[^]*?\ndata:[^\n]*\n/
const sessionId = /"session":"([A-Za-z0-9_-]+)"/

/**
 * Server-sent event streams over plain sockets, which read whatever comes and throw it away. Plain, so that
 * a client costs next to nothing and the server under test has the machine.
 */
export class EventStreams {
  readonly #sockets: net.Socket[] = []
  readonly #sessions: string[] = []
  #lost = 0

  /** Resolves when each stream has received a 200 and its first frame. */
  async open (options: StreamsOptions): Promise<void> {
    const { count, concurrency = 100, timeoutMs = 60_000 } = options
    const request = `GET ${options.path} HTTP/1.1\r\nHost: 127.0.0.1:${options.port}\r\n` +
      Object.entries(options.headers).map(([name, value]) => `${name}: ${value}\r\n`).join('') + '\r\n'
    let next = 0
    const deadline = Date.now() + timeoutMs
    const openInTurn = async (): Promise<void> => {
      while (next < count) {
        next += 1
        await this.#openOne(options.port, request, deadline)
      }
    }
    await Promise.all(Array.from({ length: Math.min(concurrency, count) }, openInTurn))
  }

  /** Streams that reached their first frame and have not been closed by the server since. */
  get openCount (): number {
    return this.#sockets.length - this.#lost
  }

  /** The sessions that the hello frames named, in the order of opening. */
  get sessions (): readonly string[] {
    return this.#sessions
  }

  #openOne (port: number, request: string, deadline: number): Promise<void> {
    return new Promise((resolve, reject) => {
      // Binding an address makes the kernel search for a port at length, so only where ports would run out.
      const address = Math.floor(this.#sockets.length / streamsPerSourceAddress)
      const source = address === 0 ? {} : { localAddress: `127.0.0.${1 + address}` }
      const socket = net.connect({ port, host: '127.0.0.1', ...source })
      let received = ''
      const fail = (reason: string): void => {
        clearTimeout(timer)
        socket.destroy()
        reject(new Error(`stream ${this.#sockets.length + 1}: ${reason}; received ${JSON.stringify(received.slice(0, 400))}`))
      }
      const timer = setTimeout(() => fail('no first frame in time'), deadline - Date.now())
      const onError = (error: Error): void => fail(error.message)
      const onClose = (): void => fail('closed before its first frame')
      const onData = (chunk: Buffer): void => {
        received += chunk.toString('latin1')
        if (!firstFrame.test(received)) return
        clearTimeout(timer)
        socket.off('error', onError).off('close', onClose).off('data', onData)
        socket.on('error', ignore).once('close', this.#onLost)
        socket.resume()
        const session = sessionId.exec(received)?.[1]
        if (session !== undefined) this.#sessions.push(session)
        this.#sockets.push(socket)
        resolve()
      }
      socket.on('error', onError)
      socket.on('close', onClose)
      socket.on('data', onData)
      socket.write(request)
    })
  }

  readonly #onLost = (): void => {
    this.#lost += 1
  }
}

function ignore (): void {}
