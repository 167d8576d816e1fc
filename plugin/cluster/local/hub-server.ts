import type { Server, Socket } from 'node:net'
import { EngineError, EngineFullError } from '../../../schemas/errors.ts'
import { hubCalls, type Hub, type HubCall, type Member } from '../hub/hub.ts'
import { kinds, outcomes, wireVersion } from './protocol.ts'
import { encodeFrame, FrameQueue, FrameReader, type WireValue } from './wire.ts'

export interface ServerLimits {
  /** Most bytes of a frame. */
  readonly maxFrameBytes: number
  /** Most bytes that wait for a node that does not read. */
  readonly maxUnreadBytes: number
  /** Milliseconds after which a node that reads nothing is cut. */
  readonly stallTimeoutMs: number
}

/** Bytes in a socket beyond which entries wait in the log. */
const enoughBytes = 262_144
/** Most bytes of entries in one write, and of entries in the answer to `range`. */
const batchBytes = 131_072
const rangeBytes = 4_194_304

interface Batch { readonly bytes: Buffer, readonly next: number }

/** Serves a hub to the nodes that connect to a socket. */
export class HubServer {
  readonly hub: Hub
  readonly id: string
  readonly limits: ServerLimits
  readonly #server: Server
  readonly #persist: () => void
  readonly #peers = new Set<Peer>()
  /** Entries as bytes, by the number of the first, for one flush. */
  readonly #batches = new Map<number, Batch>()
  readonly #housekeeping: NodeJS.Timeout
  #isFlushing = false

  /** @param persist writes down what has changed; is called before anybody learns of it */
  constructor (server: Server, hub: Hub, id: string, limits: ServerLimits, persist: () => void = () => {}) {
    this.#server = server
    this.hub = hub
    this.id = id
    this.limits = limits
    this.#persist = persist
    server.on('connection', (socket) => {
      const peer = new Peer(this, socket)
      this.#peers.add(peer)
      socket.on('close', () => { this.#peers.delete(peer) })
    })
    this.#housekeeping = setInterval(() => {
      hub.store.sweep(1_000)
      for (const peer of this.#peers) peer.check()
    }, 1_000).unref()
  }

  /** Flushes all nodes at the end of this turn. */
  flushSoon (): void {
    if (this.#isFlushing) return
    this.#isFlushing = true
    setImmediate(() => {
      this.#isFlushing = false
      this.#flush()
    })
  }

  /** The entries from a number on, as bytes that all nodes at that place share. */
  batch (from: number): Batch {
    let batch = this.#batches.get(from)
    if (batch === undefined) {
      const { store } = this.hub
      const frames: Buffer[] = []
      let next = from
      for (let bytes = 0; next < store.tail && bytes < batchBytes; next++) {
        const entry = store.entry(next)
        const frame = encodeFrame([kinds.entry, entry.at, entry.bytes])
        frames.push(frame)
        bytes += frame.length
      }
      batch = { bytes: frames.length === 1 ? frames[0]! : Buffer.concat(frames), next }
      this.#batches.set(from, batch)
    }
    return batch
  }

  /** Ends the service. Each node sees the end of its connection after all that was answered. */
  async close (): Promise<void> {
    clearInterval(this.#housekeeping)
    // All must be written down before the socket refuses: then another process may read it.
    this.#flush()
    for (const peer of this.#peers) peer.end()
    await new Promise<void>((resolve) => { this.#server.close(() => { resolve() }) })
  }

  #flush (): void {
    this.#persist()
    for (const peer of this.#peers) peer.flush()
    this.#batches.clear()
  }
}

/** A connection of one node. */
class Peer implements Member {
  readonly #server: HubServer
  readonly #socket: Socket
  readonly #out = new FrameQueue()
  #node: string | null = null
  /** The number of the next entry to send. */
  #next = 0
  #isCatchingUp = true
  /** When the socket last took bytes. */
  #movedAt = performance.now()
  #isEnding = false

  constructor (server: HubServer, socket: Socket) {
    this.#server = server
    this.#socket = socket
    const reader = new FrameReader(server.limits.maxFrameBytes)
    socket.on('data', (piece: Buffer) => {
      if (this.#isEnding) return
      try {
        for (const frame of reader.read(piece)) this.#take(frame)
      } catch {
        socket.destroy()
      }
      server.flushSoon()
    })
    socket.on('drain', () => { this.flush() })
    socket.on('error', () => {})
    socket.on('close', () => { if (this.#node !== null) server.hub.part(this.#node, this) })
  }

  grown (): void {
    this.#server.flushSoon()
  }

  message (from: string, bytes: Buffer): void {
    if (this.#waiting + bytes.length > this.#server.limits.maxUnreadBytes) return
    this.#send([kinds.message, from, bytes])
  }

  /** Writes what waits: answers and messages, then entries while the socket takes them. */
  flush (): void {
    if (this.#socket.destroyed || this.#isEnding) return
    const frames = this.#out.take()
    if (frames.length > 1) this.#socket.cork()
    for (const frame of frames) this.#write(frame)
    if (frames.length > 1) this.#socket.uncork()
    if (this.#node === null) return
    const { store } = this.#server.hub
    this.#next = Math.max(this.#next, store.head)
    while (this.#next < store.tail && this.#socket.writableLength < enoughBytes) {
      const { bytes, next } = this.#server.batch(this.#next)
      this.#next = next
      this.#write(bytes)
    }
    if (this.#isCatchingUp && this.#next === store.tail) {
      this.#isCatchingUp = false
      this.#write(encodeFrame([kinds.up]))
    }
  }

  /** Cuts a node that does not read. */
  check (): void {
    if (this.#socket.writableLength > 0 && performance.now() - this.#movedAt > this.#server.limits.stallTimeoutMs) this.#socket.destroy()
  }

  end (): void {
    this.#isEnding = true
    if (this.#node !== null) this.#server.hub.part(this.#node, this)
    this.#socket.destroySoon()
    // A node that does not read keeps nobody waiting.
    setTimeout(() => { this.#socket.destroy() }, 200).unref()
  }

  get #waiting (): number { return this.#out.bytes + this.#socket.writableLength }

  #take (frame: WireValue): void {
    const [kind, ...rest] = frame as readonly WireValue[]
    if (kind === kinds.ping) return this.#send([kinds.pong])
    if (kind === kinds.call && this.#node !== null) return this.#call(...rest as [number, HubCall, ...WireValue[]])
    if (kind === kinds.join && this.#node === null) return this.#join(...rest as [number, string, string | null, string | null])
    throw new Error(`no frame for this moment: ${String(kind)}`)
  }

  #join (version: number, node: string, known: string | null, reported: string | null): void {
    if (version !== wireVersion) {
      this.#send([kinds.refusal, `speaks version ${wireVersion} of the local protocol, and this process ${version}`])
      return
    }
    const { hub, id } = this.#server
    const { store } = hub
    this.#node = node
    if (known === null) this.#next = store.tail
    else this.#next = known === id ? store.numberAfter(reported) : store.head
    const before = this.#next > store.head ? store.entry(this.#next - 1).at : ''
    this.#send([kinds.welcome, id, before])
    hub.join(node, this)
  }

  #call (id: number, name: HubCall, ...args: WireValue[]): void {
    let answer: WireValue
    try {
      if (!Object.hasOwn(hubCalls, name)) throw new EngineError(`knows no call "${name}"`)
      const result = (hubCalls[name] as (hub: Hub, node: string, ...args: unknown[]) => WireValue)(this.#server.hub, this.#node!, ...args)
      answer = [kinds.answer, id, outcomes.done, name === 'range' ? fitting(result as Array<[string, Buffer]>) : result]
    } catch (error) {
      const { message } = error instanceof EngineError || error instanceof EngineFullError ? error : new EngineError(`failed: ${String(error)}`)
      answer = [kinds.answer, id, error instanceof EngineFullError ? outcomes.full : outcomes.failed, message]
    }
    const { maxFrameBytes } = this.#server.limits
    const frame = encodeFrame(answer)
    if (frame.length > maxFrameBytes) this.#send([kinds.answer, id, outcomes.failed, new EngineError(`has an answer of ${frame.length} bytes, of at most ${maxFrameBytes}`).message])
    else this.#sendFrame(frame)
  }

  #send (value: WireValue): void {
    this.#sendFrame(encodeFrame(value))
  }

  #sendFrame (frame: Buffer): void {
    this.#out.add(frame)
    if (this.#waiting > this.#server.limits.maxUnreadBytes) this.#socket.destroy()
    else this.#server.flushSoon()
  }

  #write (bytes: Buffer): void {
    if (this.#socket.writableLength === 0) this.#movedAt = performance.now()
    this.#socket.write(bytes, this.#moved)
  }

  readonly #moved = (): void => {
    this.#movedAt = performance.now()
  }
}

/** The first entries, as many as one frame should have, and one at least. */
function fitting (entries: Array<[at: string, bytes: Buffer]>): Array<[at: string, bytes: Buffer]> {
  let bytes = 0
  const end = entries.findIndex((entry) => (bytes += entry[1].length) > rangeBytes)
  return end === -1 ? entries : entries.slice(0, Math.max(end, 1))
}
