import { SocketStream, type StreamTarget } from './socket-stream.ts'

export interface StreamsOptions extends StreamTarget {
  readonly count: number
  /** How many may be on their way to the first frame at once. */
  readonly concurrency?: number
  /** Bounds the opening of all of them. */
  readonly timeoutMs?: number
}

/** The module of a process that holds such streams; it answers `StreamClientCalls`. */
export const streamClient = new URL('stream-client.ts', import.meta.url)

/** Below the some 28,000 ports that one loopback address can lend towards one server. */
const streamsPerSourceAddress = 20_000
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024)

const firstFrame = /(?:^|\n)data:[^\n]*\n/
const sessionId = /"session":"([A-Za-z0-9_-]+)"/

/** The session that a stream's first frame names; empty if it names none, null while there is no frame. */
export function readFirstFrame (text: string): string | null {
  return firstFrame.test(text) ? sessionId.exec(text)?.[1] ?? '' : null
}

/** Server-sent event streams that read whatever comes and throw it away. */
export class EventStreams {
  /** That the first frames named, in the order of opening. */
  readonly sessions: string[] = []
  /** Streams that reached their first frame and have not been closed by the server since. */
  openCount = 0
  #begun = 0

  /** Resolves when each stream has received a 200 and its first frame. */
  async open (options: StreamsOptions): Promise<void> {
    await this.#inTurn(options, async (deadline) => { await this.#openOne(options, deadline) })
  }

  /** Opens so many, and leaves each as soon as it has its first frame: half of them end, half of them break. */
  async pass (options: StreamsOptions): Promise<void> {
    await this.#inTurn(options, async (deadline, number) => {
      const stream = await this.#openOne(options, deadline)
      this.openCount -= 1
      stream.leave(number % 2 === 0 ? 'end' : 'reset')
    })
  }

  async #inTurn ({ count, concurrency = 100, timeoutMs = 60_000 }: StreamsOptions, each: (deadline: number, number: number) => Promise<void>): Promise<void> {
    let next = 0
    const deadline = Date.now() + timeoutMs
    await Promise.all(Array.from({ length: Math.min(concurrency, count) }, async () => {
      while (next < count) await each(deadline, ++next)
    }))
  }

  #openOne (target: StreamsOptions, deadline: number): Promise<SocketStream> {
    return new Promise((resolve, reject) => {
      const number = this.#begun++
      // Binding an address makes the kernel search for a port at length, so only where ports would run out.
      const address = Math.floor(number / streamsPerSourceAddress)
      let received = ''
      let isOpen = false
      const fail = (reason: string): void => {
        clearTimeout(timer)
        stream.leave()
        reject(new Error(`stream ${number + 1}: ${reason}; received ${JSON.stringify(received.slice(0, 400))}`))
      }
      const timer = setTimeout(() => fail('no first frame in time'), deadline - Date.now())
      const stream = new SocketStream({
        target,
        buffer: readBuffer,
        ...address === 0 ? {} : { localAddress: `127.0.0.${1 + address}` },
        onBody: (bytes, length) => {
          if (isOpen) return true
          received += bytes.toString('latin1', 0, length)
          const session = readFirstFrame(received)
          if (session === null) return true
          clearTimeout(timer)
          isOpen = true
          this.openCount += 1
          if (session !== '') this.sessions.push(session)
          resolve(stream)
          return true
        },
        onFault: (reason) => {
          if (isOpen) this.openCount -= 1
          else fail(reason)
        }
      })
    })
  }
}
