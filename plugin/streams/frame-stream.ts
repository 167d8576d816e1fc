import type { FastifyBaseLogger } from 'fastify'
import { closeCodes } from '../../schemas/close-code.ts'
import type { Carrier, CarrierOwner, Protocol } from '../carriers/carrier.ts'
import type { StreamCompression } from '../carriers/stream-compression.ts'
import { heartbeatComment, heartbeatFrame } from '../protocol/control-frame.ts'
import { BatchWriter } from './batch-writer.ts'
import type { Runtime } from './runtime.ts'
import { StreamClock, type TimedStream } from './stream-clock.ts'
import { StreamRecord } from './stream-record.ts'
import type { DisconnectReason, Stream, StreamReader } from './stream.ts'
import type { StreamOptions } from './transport.ts'

/** One stream over one carrier. Its writer decides what to write; its clock reports what is due. */
export class FrameStream implements Stream, CarrierOwner, TimedStream {
  scheduled = false
  readonly #carrier: Carrier
  readonly #runtime: Runtime
  readonly #options: StreamOptions
  readonly #writer: BatchWriter
  readonly #clock: StreamClock
  readonly #record: StreamRecord
  #reader: StreamReader | null = null
  #isDrainWatched = false
  #gone = false
  /** Whether the stream has closed its carrier, and waits only for the peer to close. */
  #isClosed = false
  #closeCode: number = closeCodes.normal
  #reason: DisconnectReason = 'client'

  /** @param url pattern of its route */
  constructor (carrier: Carrier, options: StreamOptions, runtime: Runtime, opening: string, log: FastifyBaseLogger, url = '') {
    this.#carrier = carrier
    this.#record = new StreamRecord(log, url, runtime.watch)
    this.#options = options
    this.#runtime = runtime
    const now = runtime.time.now()
    this.#writer = new BatchWriter(carrier, runtime, opening)
    this.#clock = new StreamClock(runtime.deadlines, this, options, now)
    carrier.attach(this)
    runtime.streams.add(this)
    if (carrier.opensAtOnce) this.flush(now)
    else runtime.scheduler.schedule(this)
  }

  get url (): string { return this.#record.url }
  get verdict (): string | null { return this.#record.verdict }
  get openedAt (): number { return this.#record.openedAt }
  get protocol (): Protocol { return this.#carrier.protocol }
  get compression (): StreamCompression | null { return this.#carrier.compression ?? null }
  get queuedBytes (): number { return this.#carrier.queuedBytes }
  get writeBuffer (): number { return this.#options.writeBuffer }
  get heartbeatMs (): number { return this.#options.heartbeatMs }
  get stallTimeoutMs (): number { return this.#options.stallTimeoutMs }
  get goodbye (): boolean { return this.#options.goodbye }
  get splices (): boolean { return this.#carrier.splices === true }
  get pieceBytes (): number { return this.#carrier.pieceBytes }
  get idleCarrier (): Carrier | null { return this.#gone || this.#isClosed || !this.#writer.isIdle ? null : this.#carrier }
  get writable (): boolean { return this.#writer.isWritable }
  get gone (): boolean { return this.#gone }
  get reason (): DisconnectReason { return this.#reason }
  get heldWeight (): number { return this.#writer.heldWeight }
  get waitingControls (): number { return this.#writer.waitingControls }
  get closing (): boolean { return this.#writer.isEnding }

  announce (url: string | null, verdict: string | null): void {
    // Its client may have left before its user got it.
    if (!this.#gone) this.#record.announce(this.protocol, url, verdict)
  }

  attach (reader: StreamReader, opening: string): void {
    this.#reader = reader
    this.#record.begin(reader)
    this.#writer.attach(reader, opening)
    this.#runtime.scheduler.schedule(this)
  }

  control (text: string): void {
    this.#reader?.onControl()
    this.#writer.control(text)
    this.#runtime.scheduler.schedule(this)
  }

  controlBehind (text: string, next: number): void {
    this.#reader?.onControl()
    this.#writer.controlBehind(text, next)
    this.#runtime.scheduler.schedule(this)
  }

  close (goodbye: string, withinMs: number, reason: DisconnectReason, closeCode: number = closeCodes.normal): void {
    if (this.#gone) return
    const now = this.#runtime.time.now()
    this.#clock.closeBy(now + withinMs)
    if (this.#writer.isEnding) return
    this.#reader?.leaveStep()
    this.#writer.close(goodbye)
    this.#closeCode = closeCode
    this.#reason = reason
    this.flush(now)
  }

  detach (): void {
    this.#reader?.leaveStep()
    if (this.#reader !== null) this.#record.settle(this.#reader)
    this.#reader = null
    this.#writer.detach()
  }

  destroy (reason: DisconnectReason): void {
    if (this.#gone) return
    this.#reason = reason
    this.#carrier.destroy()
    // HTTP/2 may report the close much later, but the session must learn of it now.
    this.#leave()
  }

  flush (now: number): true {
    if (this.#gone || this.#isClosed) return true
    const writer = this.#writer
    if (writer.hasControl) this.#reader?.onControl()
    if (!writer.mayFlush(now)) {
      this.#clock.paced()
      return true
    }
    if (writer.isWritable) {
      if (writer.flush(now)) this.#clock.wrote(now)
      if (!writer.isWritable) this.#fill(now)
      else if (writer.isEnded) this.#closeCarrier()
    }
    this.#reader?.onFlushed()
    return true
  }

  repace (): void {
    if (this.#gone) return
    this.#writer.repace()
    this.#clock.paced()
    this.#runtime.scheduler.schedule(this)
  }

  noteWrite (at: number): void {
    this.#clock.wrote(at)
  }

  #fill (now: number): void {
    if (this.#gone) return
    this.#writer.isWritable = false
    this.#reader?.leaveStep()
    if (!this.#isDrainWatched) {
      this.#isDrainWatched = true
      // Most carriers are never full, and need no listener.
      this.#carrier.watchDrain()
    }
    this.#clock.filled(now)
  }

  #closeCarrier (): void {
    this.#isClosed = true
    this.#carrier.close(this.#closeCode)
  }

  // Reports of the carrier

  drained (): void {
    if (this.#gone) return
    this.#writer.isWritable = true
    const now = this.#runtime.time.now()
    this.#clock.drained(now)
    this.flush(now)
  }

  filled (): void {
    if (this.#writer.isWritable) this.#fill(this.#runtime.time.now())
  }

  aborted (): void {
    this.destroy(this.#reason)
  }

  closed (): void {
    if (!this.#gone) this.#leave()
  }

  // Reports of the clock

  get queuedBytes (): number { return this.#carrier.queuedBytes }
  get paceAt (): number { return this.#writer.paceAt }
  get sharedWriteAt (): number { return this.#reader?.sharedWriteAt ?? 0 }

  onQuiet (now: number): void {
    if (!this.#carrier.beat()) {
      this.onStalled()
      return
    }
    const reader = this.#reader
    reader?.onControl()
    // Waiting updates make a heartbeat needless, unless the reader has a pace, which may hold them back.
    if (reader === null || !reader.outbox.hasUnwritten || reader.paceMs > 0) {
      this.#writer.control(reader?.counted === true ? heartbeatFrame(reader.lastWritten) : heartbeatComment)
    }
    this.flush(now)
  }

  onPace (now: number): void {
    this.flush(now)
  }

  onStalled (): void {
    const counters = this.#reader?.counters ?? this.#runtime.totals
    counters.add('stallDisconnects')
    this.destroy('stalled')
  }

  onLate (): void {
    this.destroy(this.#reason)
  }

  #leave (): void {
    this.#gone = true
    this.#writer.destroy()
    this.#clock.destroy()
    this.#runtime.streams.delete(this)
    const reader = this.#reader
    if (reader !== null) {
      reader.leaveStep()
      this.#record.settle(reader)
    }
    this.#reader = null
    this.#record.end(this.#reason, this.protocol, this.#writer.uncountedBytes)
    reader?.onGone(this.#reason)
    this.#runtime.endings.emit('end')
  }
}
