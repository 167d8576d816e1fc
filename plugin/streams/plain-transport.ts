import { defaults } from '../../schemas/defaults.ts'
import type { Holder } from '../delivery/holder.ts'
import { Outbox } from '../delivery/outbox.ts'
import { SendGate } from '../delivery/send-gate.ts'
import { Counters } from '../metrics/counters.ts'
import { encodeFrame, Frame, type FrameFields } from '../protocol/frame.ts'
import type { Runtime } from './runtime.ts'
import { sendAll, type FrameSource, type SendAllOptions } from './send-all.ts'
import type { DisconnectReason, Stream, StreamReader } from './stream.ts'
import type { Transport } from './transport.ts'

const nothingKept = { replayFrames: 0, replayBytes: 0, replayAgeMs: 0 }

/** A stream used without a session, in any route. */
export class PlainTransport implements Transport {
  readonly lastEventId: string | null
  readonly #runtime: Runtime
  readonly #stream: Stream
  #plain: PlainReader | null = null

  constructor (stream: Stream, lastEventId: string | null, runtime: Runtime) {
    this.#stream = stream
    this.lastEventId = lastEventId
    this.#runtime = runtime
    stream.announce(null, null)
  }

  get closed (): Promise<DisconnectReason> {
    return this.#reader.closed
  }

  send (fields: FrameFields): Promise<boolean> {
    return this.#reader.send(new Frame(encodeFrame(fields)))
  }

  sendAll<Item> (source: FrameSource<Item>, options?: SendAllOptions<Item>): Promise<boolean> {
    return sendAll(this, source, options)
  }

  get signal (): AbortSignal {
    return this.#reader.signal
  }

  async close (): Promise<void> {
    const { closed } = this.#reader
    this.#stream.close('', this.#stream.stallTimeoutMs || defaults.upgrade.stallTimeoutMs, 'closed')
    await closed
  }

  get #reader (): PlainReader {
    return this.#plain ??= new PlainReader(this.#stream, this.#runtime)
  }
}

class PlainReader implements StreamReader, Holder {
  readonly shortId = null
  readonly outbox: Outbox
  readonly counters: Counters
  readonly idPrefix = null
  readonly counted = false
  readonly paceMs = 0
  readonly isPressed = false
  readonly sharedWriteAt = 0
  readonly closed: Promise<DisconnectReason>
  readonly #runtime: Runtime
  readonly #stream: Stream
  readonly #gate: SendGate
  #settleClosed!: (reason: DisconnectReason) => void
  #isGone = false
  #abort: AbortController | null = null

  constructor (stream: Stream, runtime: Runtime) {
    this.#stream = stream
    this.#runtime = runtime
    this.counters = new Counters(runtime.totals)
    this.#gate = new SendGate(runtime.limits)
    this.outbox = new Outbox(nothingKept, runtime.budget)
    this.closed = new Promise((resolve) => { this.#settleClosed = resolve })
    runtime.budget.others.add(this)
    if (stream.gone) this.onGone(stream.reason)
    else stream.attach(this, '')
  }

  send (frame: Frame): Promise<boolean> {
    if (this.#isGone || this.#stream.closing) return SendGate.refused
    const { queueFrames, queueBytes } = defaults.stateful
    this.outbox.append(frame)
    this.#runtime.scheduler.schedule(this.#stream)
    if (this.outbox.waiting > queueFrames || this.outbox.waitingBytes > queueBytes) {
      this.#stream.flush(this.#runtime.time.now())
      if (this.outbox.waiting > queueFrames || (this.outbox.waitingBytes > queueBytes && this.outbox.waiting > 1)) {
        this.#overflow()
        return SendGate.refused
      }
    }
    const { budget } = this.#runtime
    if (budget.isExceeded) budget.onExceeded()
    if (this.#isGone) return SendGate.refused
    return this.#isBlocked ? this.#gate.wait() : this.#gate.grant()
  }

  get heldWeight (): number {
    return this.outbox.share + this.#stream.heldWeight
  }

  /** It holds waiting frames only, and cannot go on without one of them. So it ends if a flush frees too little. */
  shed (weight: number): void {
    if (this.#stream.writable) this.#stream.flush(this.#runtime.time.now())
    if (this.heldWeight > weight) this.#overflow()
  }

  letGo (frame: Frame): void {
    if (this.outbox.numberOf(frame) === 0) return
    if (this.#stream.writable) this.#stream.flush(this.#runtime.time.now())
    if (this.outbox.numberOf(frame) !== 0) this.#overflow()
  }

  #overflow (): void {
    this.counters.add('overflowDisconnects')
    this.#stream.destroy('overflow')
  }

  get lastWritten (): number { return this.outbox.cursor - 1 }

  // It shares nothing.
  leaveStep (): void {}
  onControl (): void {}

  onFlushed (): void {
    if (!this.#isBlocked) this.#gate.open(true)
  }

  onGone (reason: DisconnectReason): void {
    this.#isGone = true
    this.#runtime.budget.others.delete(this)
    this.outbox.clear()
    this.#gate.open(false)
    this.#settleClosed(reason)
    this.#abort?.abort(reason)
  }

  get signal (): AbortSignal {
    if (this.#abort === null) {
      this.#abort = new AbortController()
      if (this.#isGone) this.#abort.abort(this.#stream.reason)
    }
    return this.#abort.signal
  }

  get #isBlocked (): boolean {
    return !this.#stream.writable && this.outbox.waiting >= this.#stream.writeBuffer
  }
}
