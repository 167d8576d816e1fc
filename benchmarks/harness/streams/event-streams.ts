import { SocketStream, type StreamTarget } from './socket-stream.ts'

export interface StreamsOptions extends StreamTarget {
  readonly count: number
  /** Most streams that wait for their first frame at a time. */
  readonly concurrency?: number
  /** Time limit for opening all streams. */
  readonly timeoutMs?: number
}

/** The module of a process that holds such streams; it answers `StreamClientCalls`. */
export const streamClient = new URL('stream-client.ts', import.meta.url)

/** Less than the some 28,000 ports of one loopback address for connections to one server. */
const streamsPerSourceAddress = 20_000
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024)

const firstFrame = /(?:^|\n)data:[^\n]*\n/
const sessionId = /"session":"([A-Za-z0-9_-]+)"/

/** Session in a stream's first frame; empty if it has none, null before the frame. */
export function readFirstFrame (text: string): string | null {
  return firstFrame.test(text) ? sessionId.exec(text)?.[1] ?? '' : null
}

/** Server-sent event streams that read all bytes and drop them. */
export class EventStreams {
  /** Sessions in the first frames, in the order of opening. */
  readonly sessions: string[] = []
  /** Number of streams that got their first frame and that the server has not closed. */
  openCount = 0
  #begun = 0

  /** Resolves when each stream has received a 200 and its first frame. */
  async open (options: StreamsOptions): Promise<void> {
    await this.#inTurn(options, async (deadline) => { await this.#openOne(options, deadline) })
  }

  /** Opens streams, and closes each after its first frame: half of them with an end, half with a reset. */
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
