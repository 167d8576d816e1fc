import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { cuts, faultKinds, planFaults, type Fault, type FaultKind, type FaultPlan } from './fault-plan.ts'

type Direction = 'up' | 'down'

const headStart = Buffer.from('HTTP/1.1 ')
const headEnd = Buffer.from('\r\n\r\n')
/** Every head of a response is shorter. */
const tailBytes = 4_096
/** Length of a trickle in bytes. */
const trickleBytes = 1_500

/** A proxy between clients and a server. The seed plans the faults of each connection. */
export class FaultyProxy {
  /** Number of faults, by kind. */
  readonly counts = Object.fromEntries(faultKinds.map((kind) => [kind, 0])) as Record<FaultKind, number>
  connections = 0
  bytes = 0
  /** Whether faults happen; otherwise all data passes. */
  armed = false
  readonly seed: number
  readonly mostBytes: number
  readonly #listeners = new Set<Server>()
  readonly #open = new Set<FaultyConnection>()

  /** @param mostBytes most bytes between two faults of a connection */
  constructor (seed: number, mostBytes: number) {
    this.seed = seed
    this.mostBytes = mostBytes
  }

  /** Number of faults that made a connection useless. */
  get cuts (): number {
    return faultKinds.reduce((sum, kind) => sum + (cuts.has(kind) ? this.counts[kind] : 0), 0)
  }

  /** Opens a port of the loopback for one client, and counts that client's connections separately. */
  async listen (client: number, targetPort: number): Promise<number> {
    let ordinal = 0
    const listener = createServer({ allowHalfOpen: true, noDelay: true }, (outside) => {
      this.connections++
      const connection = new FaultyConnection(this, targetPort, outside, planFaults(this.seed, client, ordinal++, this.mostBytes))
      this.#open.add(connection)
      connection.run().finally(() => { this.#open.delete(connection) })
    })
    this.#listeners.add(listener)
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
    return (listener.address() as AddressInfo).port
  }

  close (): void {
    for (const listener of this.#listeners) listener.close()
    for (const connection of this.#open) connection.reset()
  }
}

class FaultyConnection {
  readonly #proxy: FaultyProxy
  readonly #outside: Socket
  readonly #inside: Socket
  readonly #plan: FaultPlan
  readonly #carried: Record<Direction, number> = { up: 0, down: 0 }
  /** No data passes in either direction until this resolves. */
  #stalled: Promise<unknown> | null = null
  #delayMs = 0
  #pieceBytes = Infinity
  #trickleLeft = 0
  #tail: Buffer = Buffer.alloc(0)
  /** Whether the connection carries no more data. */
  #isOver = false

  constructor (proxy: FaultyProxy, targetPort: number, outside: Socket, plan: FaultPlan) {
    this.#proxy = proxy
    this.#outside = outside
    this.#plan = plan
    this.#inside = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    // An error of a side ends its flow anyway.
    for (const socket of [this.#outside, this.#inside]) socket.on('error', () => {})
  }

  async run (): Promise<void> {
    const { down } = this.#plan
    if (this.#proxy.armed && down[0]!.kind === 'refuse') await this.#strike(down.shift()!)
    await Promise.all([this.#carry(this.#outside, this.#inside, 'up'), this.#carry(this.#inside, this.#outside, 'down')])
    this.#outside.destroy()
    this.#inside.destroy()
  }

  reset (): void {
    this.#isOver = true
    for (const socket of [this.#outside, this.#inside]) socket.resetAndDestroy()
  }

  async #carry (from: Socket, to: Socket, direction: Direction): Promise<void> {
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        await this.#pass(chunk, to, direction)
        if (this.#isOver) return
      }
      if (!to.destroyed) to.end()
    } catch {
      // One side broke. Only a reset can tell the other side.
      if (!this.#isOver) this.reset()
    }
  }

  async #pass (chunk: Buffer, to: Socket, direction: Direction): Promise<void> {
    let rest = chunk
    while (rest.length > 0 && !this.#isOver) {
      if (this.#stalled !== null) await this.#stalled
      const fault = this.#dueWithin(direction, rest.length)
      if (fault === null) {
        await this.#write(rest, to, direction)
        return
      }
      const before = fault.kind === 'loseAnswer' ? 0 : Math.max(0, fault.afterBytes - this.#carried[direction])
      if (before > 0) await this.#write(rest.subarray(0, before), to, direction)
      rest = rest.subarray(before)
      if (this.#plan[direction][0] === fault && !this.#isOver) {
        this.#plan[direction].shift()
        await this.#strike(fault)
      }
    }
  }

  /** The next fault, if it is due within this many bytes. */
  #dueWithin (direction: Direction, bytes: number): Fault | null {
    const fault = this.#plan[direction][0]
    if (!this.#proxy.armed || fault === undefined) return null
    return this.#carried[direction] + bytes > fault.afterBytes ? fault : null
  }

  async #write (bytes: Buffer, to: Socket, direction: Direction): Promise<void> {
    for (let at = 0; at < bytes.length && !this.#isOver;) {
      const isTrickling = direction === 'down' && this.#trickleLeft > 0
      const piece = bytes.subarray(at, at + (isTrickling ? this.#pieceBytes : bytes.length))
      at += piece.length
      if (direction === 'down') {
        if (isTrickling) {
          this.#trickleLeft -= piece.length
          // Otherwise the pieces would leave together.
          await new Promise((resolve) => setImmediate(resolve))
        } else if (this.#delayMs > 0 && this.#proxy.armed) await sleep(this.#delayMs)
        this.#look(piece)
      }
      if (this.#proxy.armed) this.#carried[direction] += piece.length
      this.#proxy.bytes += piece.length
      if (to.destroyed || to.writableEnded) continue
      if (!to.write(piece)) {
        await new Promise<void>((resolve) => {
          const done = () => {
            to.off('drain', done)
            to.off('close', done)
            resolve()
          }
          to.on('drain', done)
          to.on('close', done)
        })
      }
    }
  }

  /** Keeps the last bytes from the server. */
  #look (piece: Buffer): void {
    this.#tail = piece.length >= tailBytes ? piece.subarray(-tailBytes) : Buffer.concat([this.#tail.subarray(piece.length - tailBytes), piece])
  }

  /**
   * Whether the client has nothing of a response yet, or only a part of its head. If the connection
   * ends there in an orderly way, Chromium takes the head for a whole one, and its EventSource gives up.
   */
  get #isWithinHead (): boolean {
    const tail = this.#tail
    const start = tail.lastIndexOf(headStart)
    if (tail.length === 0 || (start !== -1 && !tail.includes(headEnd, start))) return true
    for (let length = 1; length < headStart.length; length++) {
      if (tail.subarray(-length).equals(headStart.subarray(0, length))) return true
    }
    return false
  }

  async #strike (fault: Fault): Promise<void> {
    this.#proxy.counts[fault.kind]++
    const outside = this.#outside
    const inside = this.#inside
    switch (fault.kind) {
      case 'reset':
      case 'loseAnswer':
      case 'cutRequest':
      case 'refuse':
        this.reset()
        break
      case 'truncate':
        if (this.#isWithinHead) return this.reset()
        this.#isOver = true
        outside.end()
        inside.resetAndDestroy()
        await this.#wait(fault.ms, outside)
        outside.destroy()
        break
      case 'halfOpen':
        this.#isOver = true
        outside.resetAndDestroy()
        inside.pause()
        await this.#wait(fault.ms, inside)
        inside.destroy()
        break
      case 'deaf':
        this.#isOver = true
        inside.resetAndDestroy()
        outside.pause()
        await this.#wait(fault.ms, outside)
        outside.resetAndDestroy()
        break
      case 'halfCloseUp':
        inside.end()
        break
      case 'halfCloseDown':
        if (this.#isWithinHead) return this.reset()
        outside.end()
        await this.#wait(fault.ms, outside)
        this.reset()
        break
      case 'stallAndReset':
        await this.#wait(fault.ms, outside)
        this.reset()
        break
      case 'stall':
        await (this.#stalled = this.#wait(fault.ms, outside))
        this.#stalled = null
        break
      case 'delay':
        this.#delayMs = fault.ms
        break
      case 'trickle':
        this.#pieceBytes = fault.pieceBytes
        this.#trickleLeft = trickleBytes
        break
    }
  }

  /** Waits `ms` milliseconds, or until the socket closes. */
  async #wait (ms: number, socket: Socket): Promise<void> {
    if (socket.destroyed) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, ms)
      socket.on('close', done)
      function done (): void {
        clearTimeout(timer)
        socket.off('close', done)
        resolve()
      }
    })
  }
}
