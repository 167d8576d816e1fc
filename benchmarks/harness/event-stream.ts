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
  /** Whether they read nothing after their first frame. */
  readonly frozen?: boolean
}

/** Below the some 28,000 ports that one loopback address can lend towards one server. */
const streamsPerSourceAddress = 20_000

const firstFrame = /^HTTP\/1\.1 200 [^]*?\r\n\r\n[^]*?\ndata:[^\n]*\n/
const sessionId = /"session":"([A-Za-z0-9_-]+)"/

/** A stream that has received its first frame. */
interface Opened {
  readonly socket: net.Socket
  /** That the first frame named, if it did. */
  readonly session: string | undefined
}

function requestOf ({ port, path, headers }: StreamsOptions): string {
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n` +
    Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('') + '\r\n'
}

/**
 * Server-sent event streams over plain sockets, which read whatever comes and throw it away. Plain, so that
 * a client costs next to nothing and the server under test has the machine.
 */
export class EventStreams {
  readonly #sockets: net.Socket[] = []
  readonly #sessions: string[] = []
  #opened = 0
  #lost = 0

  /** Resolves when each stream has received a 200 and its first frame. */
  async open (options: StreamsOptions): Promise<void> {
    const { count, concurrency = 100, timeoutMs = 60_000 } = options
    const request = requestOf(options)
    let next = 0
    const deadline = Date.now() + timeoutMs
    const openInTurn = async (): Promise<void> => {
      while (next < count) {
        next += 1
        this.#keep(await this.#openOne(options.port, request, deadline), options.frozen === true)
      }
    }
    await Promise.all(Array.from({ length: Math.min(concurrency, count) }, openInTurn))
  }

  /** Opens so many, one after the other on each of `concurrency` places, and leaves each as soon as it has its first frame. */
  async pass (options: StreamsOptions): Promise<void> {
    const { count, concurrency = 100, timeoutMs = 60_000 } = options
    const request = requestOf(options)
    let next = 0
    const deadline = Date.now() + timeoutMs
    const passInTurn = async (): Promise<void> => {
      while (next < count) {
        next += 1
        // As pages do that are closed, and as connections do that break.
        const leavesInPeace = next % 2 === 0
        const { socket } = await this.#openOne(options.port, request, deadline)
        if (leavesInPeace) socket.destroy()
        else socket.resetAndDestroy()
      }
    }
    await Promise.all(Array.from({ length: Math.min(concurrency, count) }, passInTurn))
  }

  /** Streams that reached their first frame and have not been closed by the server since. */
  get openCount (): number {
    return this.#sockets.length - this.#lost
  }

  /** The sessions that the hello frames named, in the order of opening. */
  get sessions (): readonly string[] {
    return this.#sessions
  }

  #keep ({ socket, session }: Opened, frozen: boolean): void {
    socket.once('close', this.#onLost)
    if (frozen) socket.pause()
    else socket.resume()
    if (session !== undefined) this.#sessions.push(session)
    this.#sockets.push(socket)
  }

  #openOne (port: number, request: string, deadline: number): Promise<Opened> {
    return new Promise((resolve, reject) => {
      // Binding an address makes the kernel search for a port at length, so only where ports would run out.
      const address = Math.floor(this.#opened++ / streamsPerSourceAddress)
      const source = address === 0 ? {} : { localAddress: `127.0.0.${1 + address}` }
      const socket = net.connect({ port, host: '127.0.0.1', ...source })
      let received = ''
      const fail = (reason: string): void => {
        clearTimeout(timer)
        socket.destroy()
        reject(new Error(`stream ${this.#opened}: ${reason}; received ${JSON.stringify(received.slice(0, 400))}`))
      }
      const timer = setTimeout(() => fail('no first frame in time'), deadline - Date.now())
      const onError = (error: Error): void => fail(error.message)
      const onClose = (): void => fail('closed before its first frame')
      const onData = (chunk: Buffer): void => {
        received += chunk.toString('latin1')
        if (!firstFrame.test(received)) return
        clearTimeout(timer)
        socket.off('error', onError).off('close', onClose).off('data', onData)
        socket.on('error', ignore)
        resolve({ socket, session: sessionId.exec(received)?.[1] })
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
