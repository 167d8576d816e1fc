/** Kinds of frames. @see RFC 6455, section 5.2 */
export const opcodes = { continuation: 0, text: 1, close: 8, ping: 9, pong: 10 } as const

/** A frame as a client sends it. The mask is zero: it protects proxies, and none is here. */
export function maskedFrame (opcode: number, payload: Buffer): Buffer {
  const { length } = payload
  const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8
  const head = Buffer.alloc(2 + extended + 4)
  head[0] = 0x80 | opcode
  head[1] = 0x80 | (extended === 0 ? length : extended === 2 ? 126 : 127)
  if (extended === 2) head.writeUInt16BE(length, 2)
  if (extended === 8) head.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([head, payload])
}

export interface MessageListener {
  /** The payload of one whole text message. */
  onText: (bytes: Buffer) => void
  onPing: (bytes: Buffer) => void
  onClose: (code: number) => void
}

/** Reads the messages of a server, which are not masked. */
export class MessageReader {
  readonly #listener: MessageListener
  #kept: Buffer | null = null
  readonly #parts: Buffer[] = []

  constructor (listener: MessageListener) {
    this.#listener = listener
  }

  read (bytes: Buffer): void {
    let rest = this.#kept === null ? bytes : Buffer.concat([this.#kept, bytes])
    for (let size = sizeOf(rest); size !== null && rest.length >= size.head + size.payload; size = sizeOf(rest)) {
      const { head, payload } = size
      this.#take(rest[0]!, rest.subarray(head, head + payload))
      rest = rest.subarray(head + payload)
    }
    this.#kept = rest.length === 0 ? null : rest
  }

  #take (first: number, payload: Buffer): void {
    const opcode = first & 15
    if (opcode === opcodes.ping) return this.#listener.onPing(payload)
    if (opcode === opcodes.close) return this.#listener.onClose(payload.length < 2 ? 1005 : payload.readUInt16BE(0))
    if (opcode !== opcodes.text && opcode !== opcodes.continuation) return
    if (first < 0x80) {
      this.#parts.push(payload)
      return
    }
    this.#listener.onText(this.#parts.length === 0 ? payload : Buffer.concat([...this.#parts.splice(0), payload]))
  }
}

/** Bytes of the first frame's head and payload; null if not all of its head is there. */
function sizeOf (bytes: Buffer): { head: number, payload: number } | null {
  if (bytes.length < 2) return null
  const short = bytes[1]! & 127
  if (short < 126) return { head: 2, payload: short }
  if (short === 126) return bytes.length < 4 ? null : { head: 4, payload: bytes.readUInt16BE(2) }
  return bytes.length < 10 ? null : { head: 10, payload: Number(bytes.readBigUInt64BE(2)) }
}
