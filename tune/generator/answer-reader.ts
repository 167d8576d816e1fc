const headEnd = Buffer.from('\r\n\r\n')
const longestHead = 65_536

export interface AnswerListener {
  onHead: (status: number, head: string) => void
  /** Bytes of the body, without the framing. */
  onBody: (bytes: Buffer) => void
  /** The answer is over; `keeps` tells whether the connection takes another request. */
  onEnd: (keeps: boolean) => void
  /** What came is no answer. */
  onFault: (reason: string) => void
}

/** Reads the answers on one HTTP/1.1 connection, one behind the other. */
export class AnswerReader {
  readonly #listener: AnswerListener
  #phase: 'head' | 'length' | 'size' | 'chunk' | 'chunk end' | 'trailer' | 'to the end' | 'upgraded' = 'head'
  #kept: Buffer | null = null
  /** Bytes of the body, or of the chunk, that are still to come. */
  #remaining = 0
  #keeps = true

  constructor (listener: AnswerListener) {
    this.#listener = listener
  }

  read (bytes: Buffer): void {
    let rest = this.#kept === null ? bytes : Buffer.concat([this.#kept, bytes])
    this.#kept = null
    while (rest.length > 0) {
      const next = this.#step(rest)
      if (next === null) {
        this.#kept = rest
        if (rest.length > longestHead) this.#listener.onFault('a line or a head of more than 64 KiB')
        return
      }
      rest = next
    }
  }

  /** Takes what it can from the front; null if it needs more. */
  #step (bytes: Buffer): Buffer | null {
    switch (this.#phase) {
      case 'head': return this.#head(bytes)
      case 'length':
      case 'chunk': {
        const part = bytes.subarray(0, this.#remaining)
        this.#remaining -= part.length
        this.#listener.onBody(part)
        if (this.#remaining === 0) {
          if (this.#phase === 'length') this.#end()
          else this.#phase = 'chunk end'
        }
        return bytes.subarray(part.length)
      }
      case 'size':
      case 'chunk end':
      case 'trailer': return this.#line(bytes)
      default:
        this.#listener.onBody(bytes)
        return bytes.subarray(bytes.length)
    }
  }

  #head (bytes: Buffer): Buffer | null {
    const end = bytes.indexOf(headEnd)
    if (end === -1) return null
    const head = bytes.toString('latin1', 0, end)
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1])
    const rest = bytes.subarray(end + headEnd.length)
    if (Number.isNaN(status)) {
      this.#listener.onFault(`not HTTP/1.1: ${JSON.stringify(head.slice(0, 80))}`)
      return bytes.subarray(bytes.length)
    }
    if (status >= 100 && status < 200 && status !== 101) return rest
    this.#keeps = !/^connection: *close/im.test(head)
    const length = /^content-length: *(\d+)/im.exec(head)?.[1]
    this.#listener.onHead(status, head)
    if (status === 101) this.#phase = 'upgraded'
    else if (status === 204 || status === 304) this.#end()
    else if (/^transfer-encoding:.*chunked/im.test(head)) this.#phase = 'size'
    else if (length === undefined) this.#phase = 'to the end'
    else if (length === '0') this.#end()
    else {
      this.#phase = 'length'
      this.#remaining = Number(length)
    }
    return rest
  }

  #line (bytes: Buffer): Buffer | null {
    const end = bytes.indexOf('\r\n')
    if (end === -1) return null
    if (this.#phase === 'chunk end') this.#phase = 'size'
    else if (this.#phase === 'trailer') {
      if (end === 0) this.#end()
    } else {
      this.#remaining = Number.parseInt(bytes.toString('latin1', 0, end), 16)
      this.#phase = this.#remaining === 0 ? 'trailer' : 'chunk'
      if (Number.isNaN(this.#remaining)) this.#listener.onFault('a chunk without a size')
    }
    return bytes.subarray(end + 2)
  }

  #end (): void {
    this.#phase = 'head'
    this.#listener.onEnd(this.#keeps)
  }
}
