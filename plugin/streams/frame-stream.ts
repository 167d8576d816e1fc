import type { FastifyBaseLogger } from 'fastify'
import { closeCodes } from '../../schemas/close-code.ts'
import { defaults } from '../../schemas/defaults.ts'
import type { Carrier, CarrierOwner, Protocol } from '../carriers/carrier.ts'
import { EncodedBatch } from '../carriers/encoded-batch.ts'
import type { StreamCompression } from '../carriers/stream-compression.ts'
import type { Deadline } from '../delivery/deadline-queue.ts'
import type { Outbox } from '../delivery/outbox.ts'
import type { Counters } from '../metrics/counters.ts'
import { gapFrame, heartbeatComment, heartbeatFrame } from '../protocol/control-frame.ts'
import type { Runtime } from './runtime.ts'
import { StreamRecord } from './stream-record.ts'
import type { DisconnectReason, Stream, StreamReader } from './stream.ts'
import type { StreamOptions } from './transport.ts'

/** How often in a stall deadline its progress is looked at, which is how late it may be noticed. */
const stallLooks = 4

/** Of an `id:` line, beside its prefix: the field's name, a number of up to ten digits, the line end. */
const idLineBytes = 15

/** Writes a reader's frames to one carrier, as fast as that takes them. */
export class FrameStream implements Stream, CarrierOwner, Deadline {
  dueAt = 0
  heapIndex = -1
  scheduled = false
  readonly #carrier: Carrier
  readonly #runtime: Runtime
  readonly #options: StreamOptions
  #reader: StreamReader | null = null
  /** Of the reader that it has, or had before another stream took over: its goodbye counts there too. */
  #counters: Counters | null = null
  /** What was written before there was a reader to count it for. */
  #earlyWrites = 0
  #earlyBytes = 0
  #writable = true
  #isDrainWatched = false
  #gone = false
  /** Text to be written before the next frame. */
  #control: string
  /** Whether a blank line is still to end the first block; alone, it takes the head along at once. */
  #openingOpen = true
  /** A piece too large for one write, and how many parts of it were written. */
  #rest: EncodedBatch | null = null
  #restParts = 0
  /** Last text before the end; null while the stream goes on. */
  #goodbye: string | null = null
  #closeCode: number = closeCodes.normal
  #ended = false
  #finishAt = Infinity
  #lastWriteAt: number
  #lastUpdateAt = -Infinity
  /** Number after the last update that the present flush writes, where there is a pace. */
  #flushEnd = Infinity
  #progressAt = 0
  #queuedAtLook = 0
  #reason: DisconnectReason = 'client'
  readonly #record: StreamRecord

  constructor (carrier: Carrier, options: StreamOptions, runtime: Runtime, opening: string, log: FastifyBaseLogger) {
    this.#carrier = carrier
    this.#record = new StreamRecord(log)
    this.#options = options
    this.#runtime = runtime
    this.#control = opening
    this.#lastWriteAt = performance.now()
    carrier.attach(this)
    runtime.streams.add(this)
    this.#setDeadline()
    if (carrier.opensAtOnce) this.flush(this.#lastWriteAt)
    else runtime.scheduler.schedule(this)
  }

  get protocol (): Protocol { return this.#carrier.protocol }
  get compression (): StreamCompression | null { return this.#carrier.compression ?? null }
  get writeBuffer (): number { return this.#options.writeBuffer }
  get heartbeatMs (): number { return this.#options.heartbeatMs }
  get stallTimeoutMs (): number { return this.#options.stallTimeoutMs }
  get goodbye (): boolean { return this.#options.goodbye }
  get writable (): boolean { return this.#writable }
  get gone (): boolean { return this.#gone }
  get reason (): DisconnectReason { return this.#reason }
  get heldWeight (): number { return this.#rest === null ? 0 : this.#runtime.budget.shareOfBatch(this.#rest) }
  get finishing (): boolean { return this.#goodbye !== null }

  attach (reader: StreamReader, opening: string): void {
    this.#reader = reader
    this.#counters = reader.counters
    this.#record.begin(reader)
    reader.counters.adopt(this.#earlyWrites, this.#earlyBytes)
    this.#earlyBytes = 0
    if (reader.paceMs > 0) this.#flushEnd = 0
    this.#control += opening
    if (opening !== '') this.#openingOpen = false
    this.#runtime.scheduler.schedule(this)
  }

  control (text: string): void {
    this.#control += text
    this.#runtime.scheduler.schedule(this)
  }

  finish (goodbye: string, withinMs: number, reason: DisconnectReason, closeCode: number = closeCodes.normal): void {
    if (this.#gone) return
    const now = performance.now()
    const finishAt = now + withinMs
    if (finishAt < this.#finishAt) {
      this.#finishAt = finishAt
      this.#runtime.deadlines.set(this, finishAt)
    }
    if (this.#goodbye !== null) return
    this.#goodbye = goodbye
    this.#closeCode = closeCode
    this.#reason = reason
    this.flush(now)
  }

  release (goodbye: string): void {
    if (this.#reader !== null) this.#record.settle(this.#reader)
    this.#reader = null
    this.finish(goodbye, defaults.fixed.shutdownMs, 'replaced', closeCodes.replaced)
  }

  destroy (reason: DisconnectReason): void {
    if (this.#gone) return
    this.#reason = reason
    this.#carrier.destroy()
    // HTTP/2 may tell of it much later; what holds for the session must hold now.
    this.#leave()
  }

  flush (now: number): void {
    if (this.#gone || this.#ended) return
    if (this.#isPaced(now)) return
    while (this.#writable && this.#writeNext(now)) { /* each pass is one write */ }
    if (this.#writable && this.#goodbye === '') this.#end()
    this.#reader?.onFlushed()
  }

  /** Whether it is too soon after the last write of updates; then another flush comes in time. */
  #isPaced (now: number): boolean {
    const reader = this.#reader
    if (reader === null || reader.paceMs === 0) return false
    const { outbox } = reader
    // What is urgent is written, and updates along with it.
    if (this.#control !== '' || this.#goodbye !== null || reader.isPressed) {
      this.#flushEnd = outbox.next
      return false
    }
    // What waited when a flush began goes with it, however many writes that takes; what came later does not.
    if (this.#rest !== null || outbox.cursor < this.#flushEnd || !outbox.pending) return false
    const at = this.#lastUpdateAt + reader.paceMs
    if (now >= at) {
      this.#flushEnd = outbox.next
      return false
    }
    this.#runtime.deadlines.set(this, at)
    return true
  }

  due (now: number): void {
    if (this.#gone) return
    if (now >= this.#finishAt) return this.destroy(this.#reason)
    if (!this.#writable) {
      if (this.#stallTimeout > 0 && this.#hasStalled(now)) return this.#stalled()
    } else if (this.#beats && now - this.#lastWriteAt >= this.#options.heartbeatMs && this.#goodbye === null) {
      if (!this.#carrier.beat()) return this.#stalled()
      // What waits for its pace only does not show that the stream lives.
      if (this.#reader === null || !this.#reader.outbox.pending || this.#reader.paceMs > 0) {
        this.#control += this.#reader?.counted === true ? heartbeatFrame(this.#reader.outbox.cursor - 1) : heartbeatComment
      }
      this.flush(now)
    } else if (this.#reader !== null && this.#reader.paceMs > 0 && this.#reader.outbox.pending) {
      this.flush(now)
    }
    this.#setDeadline()
  }

  get #beats (): boolean { return this.#options.heartbeatMs > 0 }
  get #stallTimeout (): number { return this.#options.stallTimeoutMs }

  /** Writes one piece. Returns false when there is nothing to write. */
  #writeNext (now: number): boolean {
    if (this.#rest !== null) {
      this.#writeRest(now)
      return true
    }
    const reader = this.#reader
    const outbox = reader?.outbox
    let text = this.#takeControl()
    if (outbox === undefined || !outbox.pending || outbox.cursor >= this.#flushEnd) {
      if (this.#goodbye !== null) {
        text += this.#goodbye
        this.#goodbye = ''
      }
      if (text === '') return false
      this.#writeText(text, Buffer.byteLength(text), now)
      return true
    }
    const gap = outbox.takeGap()
    if (gap !== 0) text += gapFrame(reader!.idPrefix, gap)
    const idPrefix = reader!.idPrefix
    const start = outbox.cursor
    const room = this.#carrier.pieceBytes - text.length
    const end = Math.min(this.#flushEnd, outbox.batchEnd(room, idPrefix === null ? 0 : idPrefix.length + idLineBytes))
    this.#lastUpdateAt = now
    this.#count(end - start)
    if (text === '' && idPrefix === null) {
      const batch = this.#runtime.batches.shared(outbox, start, end)
      if (batch !== null) {
        const bytes = outbox.bytesBetween(start, end)
        outbox.wrote(end, now)
        this.#writeBatch(batch, bytes, now)
        return true
      }
    }
    if (this.#carrier.splices === true) {
      this.#writeSpliced(text, outbox, start, end, idPrefix, now)
      return true
    }
    let bytes = Buffer.byteLength(text)
    for (let number = start; number < end; number++) {
      const frame = outbox.at(number)
      if (idPrefix !== null) {
        const id = `id: ${idPrefix}${number}\n`
        text += id
        bytes += id.length
      }
      text += frame.text
      bytes += frame.bytes
    }
    outbox.wrote(end, now)
    this.#writeText(text, bytes, now)
    return true
  }

  /**
   * Writes what others get too, what is this reader's alone and what is the library's
   * own each by itself. The length of what is deflated tells of its text; so nobody
   * who has a part in one of them learns anything of another.
   */
  #writeSpliced (text: string, outbox: Outbox, start: number, end: number, idPrefix: string | null, now: number): void {
    const pieces: EncodedBatch[] = []
    let kept = text
    for (let number = start; number < end;) {
      if (idPrefix !== null) kept += `id: ${idPrefix}${number}\n`
      // With ids, each frame is a batch of its own, and most are too small for that.
      if (idPrefix !== null && outbox.at(number).bytes < defaults.fixed.splicedBytes) {
        kept += outbox.at(number++).text
        continue
      }
      if (kept !== '') pieces.push(new EncodedBatch(kept, false, false))
      kept = ''
      const batchEnd = idPrefix === null ? endOfAudience(outbox, number, end) : number + 1
      // The last to get what was shared shares it with nobody any more.
      const batch = outbox.at(number).isShared ? this.#runtime.batches.shared(outbox, number, batchEnd) : null
      pieces.push(batch ?? new EncodedBatch(textOf(outbox, number, batchEnd), false, true))
      number = batchEnd
    }
    if (kept !== '') pieces.push(new EncodedBatch(kept, false, false))
    outbox.wrote(end, now)
    if (pieces.length === 1) this.#writePiece(pieces[0]!, now)
    else this.#carrier.together!(() => { this.#writePieces(pieces, now) })
  }

  #writePieces (pieces: readonly EncodedBatch[], now: number): void {
    let written = 0
    let writable = true
    for (const piece of pieces) {
      const bytes = lengthOf(piece)
      if (bytes > this.#carrier.pieceBytes) {
        // The last: a frame too large for one write ends its write.
        this.#begin(piece)
        break
      }
      written += bytes
      writable = this.#hand(piece, bytes) && writable
    }
    this.#wrote(written, now, writable)
  }

  #writePiece (piece: EncodedBatch, now: number): void {
    const bytes = lengthOf(piece)
    if (bytes > this.#carrier.pieceBytes) this.#writeLarge(piece, now)
    else this.#wrote(bytes, now, this.#hand(piece, bytes))
  }

  #hand (piece: EncodedBatch, bytes: number): boolean {
    return piece.isShared ? this.#carrier.writeBatch(piece) : this.#carrier.writeText(piece.text, bytes, piece.isDeflatable)
  }

  #takeControl (): string {
    let text = this.#control
    this.#control = ''
    if (this.#openingOpen) {
      this.#openingOpen = false
      text += '\n'
    }
    return text
  }

  #count (frames: number): void {
    this.#reader!.counters.addFrames(frames)
  }

  #writeText (text: string, bytes: number, now: number): void {
    if (bytes > this.#carrier.pieceBytes) this.#writeLarge(new EncodedBatch(text, false), now)
    else this.#wrote(bytes, now, this.#carrier.writeText(text, bytes))
  }

  #writeBatch (batch: EncodedBatch, bytes: number, now: number): void {
    if (bytes > this.#carrier.pieceBytes) this.#writeLarge(batch, now)
    else this.#wrote(bytes, now, this.#carrier.writeBatch(batch))
  }

  #writeLarge (batch: EncodedBatch, now: number): void {
    this.#begin(batch)
    this.#writeRest(now)
  }

  #begin (piece: EncodedBatch): void {
    // Of what is nobody else's the bytes are enough, and the text may go.
    const rest = piece.isShared ? piece : new EncodedBatch('', false, piece.isDeflatable, piece.bytes)
    this.#rest = rest
    this.#restParts = 0
    this.#runtime.budget.holdBatch(rest)
  }

  #dropRest (): void {
    if (this.#rest === null) return
    this.#runtime.budget.releaseBatch(this.#rest)
    this.#rest = null
  }

  #writeRest (now: number): void {
    const rest = this.#rest!
    const { pieceBytes } = this.#carrier
    const part = rest.part(this.#restParts++, pieceBytes)
    const isLast = this.#restParts * pieceBytes >= rest.bytes.length
    if (isLast) this.#dropRest()
    this.#wrote(part.bytes.length, now, this.#carrier.writePart(part, isLast))
  }

  #wrote (bytes: number, now: number, writable: boolean): void {
    this.#lastWriteAt = now
    if (this.#counters !== null) this.#counters.addWrite(bytes)
    else {
      this.#runtime.totals.addWrite(bytes)
      this.#earlyWrites++
      this.#earlyBytes += bytes
    }
    if (!writable) this.#fill(now)
  }

  #fill (now: number): void {
    this.#writable = false
    if (!this.#isDrainWatched) {
      this.#isDrainWatched = true
      // By most streams never.
      this.#carrier.watchDrain()
    }
    this.#progressAt = now
    this.#queuedAtLook = this.#carrier.queuedBytes
    if (this.#stallTimeout > 0) this.#runtime.deadlines.set(this, now + this.#stallTimeout / stallLooks)
  }

  #hasStalled (now: number): boolean {
    const queued = this.#carrier.queuedBytes
    if (queued !== this.#queuedAtLook) {
      this.#queuedAtLook = queued
      this.#progressAt = now
      return false
    }
    return now - this.#progressAt >= this.#stallTimeout
  }

  /** The peer takes nothing, or gives no sign of life. */
  #stalled (): void {
    const counters = this.#reader?.counters ?? this.#runtime.totals
    counters.add('stallDisconnects')
    this.destroy('stalled')
  }

  #setDeadline (): void {
    let at = this.#finishAt
    if (!this.#writable) {
      if (this.#stallTimeout > 0) at = Math.min(at, performance.now() + this.#stallTimeout / stallLooks)
    } else {
      if (this.#beats) at = Math.min(at, this.#lastWriteAt + this.#options.heartbeatMs)
      if (this.#reader !== null && this.#reader.paceMs > 0 && this.#reader.outbox.pending) at = Math.min(at, this.#lastUpdateAt + this.#reader.paceMs)
    }
    this.#runtime.deadlines.set(this, at)
  }

  #end (): void {
    this.#ended = true
    this.#carrier.end(this.#closeCode)
  }

  drained (): void {
    if (this.#gone) return
    this.#writable = true
    const now = performance.now()
    this.flush(now)
    if (this.#writable && this.#beats) this.#runtime.deadlines.set(this, now + this.#options.heartbeatMs)
  }

  filled (): void {
    if (!this.#gone && this.#writable) this.#fill(performance.now())
  }

  aborted (): void {
    this.destroy(this.#reason)
  }

  closed (): void {
    if (!this.#gone) this.#leave()
  }

  #leave (): void {
    this.#gone = true
    this.#writable = false
    this.#dropRest()
    this.#control = ''
    this.#runtime.deadlines.remove(this)
    this.#runtime.streams.delete(this)
    const reader = this.#reader
    if (reader !== null) this.#record.settle(reader)
    this.#reader = null
    this.#counters = null
    this.#record.end(this.#reason, this.protocol, this.#earlyBytes)
    reader?.onGone(this.#reason)
    this.#runtime.endings.emit('end')
  }
}

/** Number after the last of the frames from `start` on that all are meant for others too, or all are not. */
function endOfAudience (outbox: Outbox, start: number, end: number): number {
  const { isShared } = outbox.at(start)
  let number = start + 1
  while (number < end && outbox.at(number).isShared === isShared) number++
  return number
}

function textOf (outbox: Outbox, start: number, end: number): string {
  let text = ''
  for (let number = start; number < end; number++) text += outbox.at(number).text
  return text
}

function lengthOf (batch: EncodedBatch): number {
  return batch.isShared ? batch.bytes.length : Buffer.byteLength(batch.text)
}
