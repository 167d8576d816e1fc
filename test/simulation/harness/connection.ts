import type { Carrier, CarrierOwner } from '../../../plugin/carriers/carrier.ts'
import type { EncodedBatch } from '../../../plugin/carriers/encoded-batch.ts'
import type { VirtualProcess, VirtualTime } from './virtual-time.ts'

/** The page's side of a stream. */
export interface Receiver {
  receive: (text: string) => void
  ended: () => void
}

/** Bytes under way to a page, beyond which the node has to wait. */
const windowBytes = 2_000

/** The connection of one stream: what a node writes arrives in its order and late, and not at all after a cut. */
export class Connection implements Carrier {
  readonly protocol = 'http/1.1'
  readonly pieceBytes = 65_536
  readonly opensAtOnce = false
  readonly #time: VirtualTime
  readonly #process: VirtualProcess
  readonly #receiver: Receiver
  readonly #delay: () => number
  #owner: CarrierOwner | null = null
  #lastAt = 0
  #cloggedUntil = 0
  queuedBytes = 0
  #isFull = false
  #isOver = false
  #hasTold = false
  /** Whether the page's side has ended, whatever the node knows. */
  isCut = false

  constructor (time: VirtualTime, process: VirtualProcess, receiver: Receiver, delay: () => number) {
    this.#time = time
    this.#process = process
    this.#receiver = receiver
    this.#delay = delay
  }

  attach (owner: CarrierOwner): void { this.#owner = owner }
  watchDrain (): void {}
  beat (): boolean { return true }
  writeText (text: string): boolean { return this.#write(text) }
  writeBatch (batch: EncodedBatch): boolean { return this.#write(batch.bytes.toString()) }
  writePart (part: EncodedBatch): boolean { return this.#write(part.bytes.toString()) }

  #write (text: string): boolean {
    this.queuedBytes += text.length
    this.#pass(() => {
      this.queuedBytes -= text.length
      if (!this.isCut) this.#receiver.receive(text)
      if (this.#isFull && this.queuedBytes < windowBytes / 2) {
        this.#isFull = false
        this.#time.post(this.#process, () => { if (!this.#isOver) this.#owner?.drained() })
      }
    })
    this.#isFull = this.queuedBytes >= windowBytes
    return !this.#isFull
  }

  #pass (run: () => void): void {
    this.#lastAt = Math.max(this.#lastAt, this.#cloggedUntil, this.#time.now + this.#delay())
    this.#time.at(this.#lastAt, run)
  }

  close (): void {
    this.#pass(() => { this.#end(true) })
  }

  destroy (): void {
    this.#isOver = true
    this.#time.after(this.#delay(), () => { this.#end(false) })
  }

  /** The page takes nothing for a time. */
  clog (ms: number): void {
    this.#cloggedUntil = Math.max(this.#cloggedUntil, this.#time.now + ms)
  }

  /** Breaks: the page knows at once, in the midst of a frame perhaps; the node after a time, or when it writes in vain. */
  cut (nodeKnowsMs: number): void {
    if (this.isCut) return
    this.isCut = true
    this.#receiver.ended()
    this.#time.after(nodeKnowsMs, () => { this.#tell() })
  }

  #end (isTold: boolean): void {
    if (!this.isCut) {
      this.isCut = true
      this.#receiver.ended()
    }
    if (isTold) this.#tell()
  }

  #tell (): void {
    this.#time.post(this.#process, () => {
      if (this.#hasTold) return
      this.#hasTold = true
      this.#isOver = true
      this.#owner?.closed()
    })
  }
}
