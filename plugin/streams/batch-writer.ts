import type { Carrier } from '../carriers/carrier.ts'
import { EncodedBatch } from '../carriers/encoded-batch.ts'
import type { Outbox } from '../delivery/outbox.ts'
import type { Counters } from '../metrics/counters.ts'
import { gapFrame } from '../protocol/control-frame.ts'
import type { Runtime } from './runtime.ts'
import { splicedPieces } from './spliced-pieces.ts'
import type { StreamReader } from './stream.ts'

/** Bytes of an `id:` line besides its prefix: the field's name, a number of up to ten digits, the line end. */
const idLineBytes = 15

/** The members of a reader that a writer needs. */
export type WrittenReader = Pick<StreamReader, 'outbox' | 'counters' | 'idPrefix' | 'paceMs' | 'isPressed'>

/** Spreads a reader's updates over time. */
interface Pace {
  /** Least time from one write of updates to the next. */
  readonly intervalMs: number
  lastUpdateAt: number
  /** Number after the last update of the present flush. */
  flushEnd: number
}

/**
 * Writes control text and a reader's updates to one carrier, piece by piece. It alone decides
 * what a piece holds; the stream decides when to write.
 *
 * ```
 * large piece in hand ────────────────────────────────────────→ its next part
 * control text, gap, updates ─┬─ updates only, all shared ────→ one batch for many carriers
 *                             ├─ the carrier compresses ──────→ spliced pieces, as one write
 *                             └─ otherwise ───────────────────→ one text
 * ```
 *
 * The last three end in `#handBatch` or `#handText`. There, a piece that is larger than one write
 * becomes the large piece in hand.
 */
export class BatchWriter {
  /** False from a write that fills the carrier to the next drain. */
  isWritable = true
  readonly #carrier: Carrier
  readonly #runtime: Pick<Runtime, 'batches' | 'budget' | 'limits' | 'totals'>
  #reader: WrittenReader | null = null
  /** Counters of the latest reader; after its detach, the goodbye counts there too. */
  #counters: Counters | null = null
  /** Writes and bytes before the first reader. */
  #earlyWrites = 0
  #earlyBytes = 0
  /** Text that goes before the next update. */
  #control: string
  /** Texts that go behind updates which wait, oldest first. Null for most streams. */
  #behind: Array<{ readonly text: string, readonly next: number }> | null = null
  /** Whether the first block still needs its blank line. Written alone, that line sends the head at once. */
  #isOpening = true
  /** A piece too large for one write, and the number of its written parts. */
  #large: EncodedBatch | null = null
  #largeParts = 0
  /** Last text of the stream: null before the close, empty once it is written. */
  #goodbye: string | null = null
  /** Null for most streams. */
  #pace: Pace | null = null

  /** @param opening begins the stream; a line end that closes its block follows it */
  constructor (carrier: Carrier, runtime: Pick<Runtime, 'batches' | 'budget' | 'limits' | 'totals'>, opening: string) {
    this.#carrier = carrier
    this.#runtime = runtime
    this.#control = opening
  }

  /** Its share of the memory of the large piece in hand. */
  get heldWeight (): number { return this.#large === null ? 0 : this.#runtime.budget.shareOfBatch(this.#large) }
  /** Whether nothing but updates is left to write, and these may leave at any time. */
  get isIdle (): boolean {
    return this.isWritable && this.#control === '' && this.#behind === null && !this.#isOpening && this.#goodbye === null && this.#large === null && this.#pace === null
  }

  /** Whether text other than updates waits. */
  get hasControl (): boolean { return this.#control !== '' || this.#behind !== null }
  get waitingControls (): number { return this.#behind?.length ?? 0 }
  /** Whether `close` was called. */
  get isEnding (): boolean { return this.#goodbye !== null }
  /** Whether the goodbye was written, so that nothing follows. */
  get isEnded (): boolean { return this.#goodbye === '' }
  /** Bytes that no reader has counted. */
  get uncountedBytes (): number { return this.#earlyBytes }

  /** Time at which the pace lets the waiting updates leave; `Infinity` when none wait. */
  get paceAt (): number {
    const pace = this.#pace
    return pace !== null && this.#reader?.outbox.hasUnwritten === true ? pace.lastUpdateAt + pace.intervalMs : Infinity
  }

  /** Writes this reader's updates from now on, and `opening` before them. */
  attach (reader: WrittenReader, opening: string): void {
    this.#reader = reader
    this.#counters = reader.counters
    reader.counters.adopt(this.#earlyWrites, this.#earlyBytes)
    this.#earlyBytes = 0
    if (reader.paceMs > 0) this.#pace = { intervalMs: reader.paceMs, lastUpdateAt: -Infinity, flushEnd: 0 }
    this.#control += opening
    if (opening !== '') this.#isOpening = false
  }

  /** Writes no further updates. Later text still counts for the detached reader. */
  detach (): void {
    this.#reader = null
    this.#pace = null
  }

  /** Puts text before the next update. */
  control (text: string): void {
    this.#control += text
  }

  /** Puts text behind the updates before number `next`, and before a later one. */
  controlBehind (text: string, next: number): void {
    (this.#behind ??= []).push({ text, next })
  }

  /** Makes `goodbye` the last text, after everything that waits. */
  close (goodbye: string): void {
    this.#goodbye = goodbye
  }

  /** Releases everything that it holds. */
  destroy (): void {
    this.isWritable = false
    this.#dropLarge()
    this.#control = ''
    this.#behind = null
    this.#reader = null
    this.#counters = null
    this.#pace = null
  }

  /**
   * Whether a flush may begin now; if not, the pace allows it at `paceAt`. A flush takes all updates
   * that wait at its start, in one or more writes. Later updates wait for the next flush.
   */
  mayFlush (now: number): boolean {
    const pace = this.#pace
    if (pace === null) return true
    const reader = this.#reader!
    const { outbox } = reader
    const isUrgent = this.#control !== '' || this.#goodbye !== null || reader.isPressed
    if (!isUrgent) {
      if (this.#large !== null || outbox.cursor < pace.flushEnd || !outbox.hasUnwritten) return true
      if (now < pace.lastUpdateAt + pace.intervalMs) return false
    }
    pace.flushEnd = outbox.next
    return true
  }

  /** Writes pieces until none is left or the carrier is full. Returns whether it wrote anything. */
  flush (now: number): boolean {
    let hasWritten = false
    while (this.isWritable && this.#writeNext(now)) hasWritten = true
    return hasWritten
  }

  /** Writes the next piece. Returns false when there is none. */
  #writeNext (now: number): boolean {
    let bytes = 0
    if (this.#large === null) {
      const reader = this.#reader
      let text = this.#takeControl()
      if (reader !== null && this.#hasUpdates(reader.outbox)) bytes = this.#handUpdates(text, reader, now)
      else {
        text += this.#takeGoodbye()
        if (text === '') return false
        bytes = this.#handText(text, Buffer.byteLength(text))
      }
    }
    if (bytes === 0 && this.#large !== null) bytes = this.#handPart(this.#large)
    this.#count(bytes)
    return true
  }

  #takeControl (): string {
    let text = this.#control
    this.#control = ''
    if (this.#isOpening) {
      this.#isOpening = false
      text += '\n'
    }
    return this.#behind === null ? text : text + this.#takeBehind(this.#behind)
  }

  /** Takes the texts behind updates that were written or dropped. Without a reader, no update is left to wait for. */
  #takeBehind (behind: Array<{ readonly text: string, readonly next: number }>): string {
    const cursor = this.#reader?.outbox.cursor ?? Infinity
    let text = ''
    while (behind.length > 0 && behind[0]!.next <= cursor) text += behind.shift()!.text
    if (behind.length === 0) this.#behind = null
    return text
  }

  #takeGoodbye (): string {
    const goodbye = this.#goodbye
    if (goodbye === null) return ''
    this.#goodbye = ''
    return goodbye
  }

  /** Whether the present flush has updates to write, or a gap to report without an update after it. */
  #hasUpdates (outbox: Outbox): boolean {
    if (!outbox.hasUnwritten) return false
    const pace = this.#pace
    return pace === null || outbox.cursor < pace.flushEnd || outbox.cursor === outbox.next
  }

  // Each `#hand…` method returns the number of bytes handed over, or 0 if they became the large piece in hand.

  /** Hands over `text`, and after it as many updates as one write takes. */
  #handUpdates (text: string, reader: WrittenReader, now: number): number {
    const { outbox, idPrefix } = reader
    const carrier = this.#carrier
    const { batches } = this.#runtime
    const gap = outbox.takeGap()
    if (gap !== 0) text += gapFrame(idPrefix, gap)
    const start = outbox.cursor
    let end = outbox.batchEnd(carrier.pieceBytes - text.length, idPrefix === null ? 0 : idPrefix.length + idLineBytes)
    if (this.#behind !== null) end = Math.min(end, this.#behind[0]!.next)
    const pace = this.#pace
    if (pace !== null) {
      end = Math.min(end, pace.flushEnd)
      pace.lastUpdateAt = now
    }
    reader.counters.addFrames(end - start)
    const batch = text === '' && idPrefix === null ? batches.shared(outbox, start, end) : null
    if (batch !== null) {
      outbox.wrote(end, now)
      return this.#handBatch(batch)
    }
    if (carrier.splices === true) {
      const pieces = splicedPieces(text, outbox, start, end, idPrefix, batches, this.#runtime.limits.splicedBytes)
      outbox.wrote(end, now)
      return this.#handPieces(pieces)
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
    return this.#handText(text, bytes)
  }

  #handPieces (pieces: readonly EncodedBatch[]): number {
    if (pieces.length === 1) return this.#handPiece(pieces[0]!)
    let bytes = 0
    this.#carrier.together!(() => {
      for (let index = 0; index < pieces.length && this.#large === null; index++) {
        bytes += this.#handPiece(pieces[index]!)
        // Only after huge control text is a large piece not the last. It then takes in the rest.
        if (this.#large !== null && index < pieces.length - 1) this.#enlarge(pieces.slice(index))
      }
    })
    return bytes
  }

  #handPiece (piece: EncodedBatch): number {
    return piece.isShared ? this.#handBatch(piece) : this.#handText(piece.text, Buffer.byteLength(piece.text), piece.isDeflatable)
  }

  #handText (text: string, bytes: number, isDeflatable = false): number {
    if (bytes > this.#carrier.pieceBytes) return this.#take(new EncodedBatch('', false, isDeflatable, Buffer.from(text)))
    if (!this.#carrier.writeText(text, bytes, isDeflatable)) this.isWritable = false
    return bytes
  }

  #handBatch (batch: EncodedBatch): number {
    const bytes = batch.bytes.length
    if (bytes > this.#carrier.pieceBytes) return this.#take(batch)
    if (!this.#carrier.writeBatch(batch)) this.isWritable = false
    return bytes
  }

  #handPart (large: EncodedBatch): number {
    const { pieceBytes } = this.#carrier
    const part = large.part(this.#largeParts++, pieceBytes)
    const isLast = this.#largeParts * pieceBytes >= large.bytes.length
    if (isLast) this.#dropLarge()
    if (!this.#carrier.writePart(part, isLast)) this.isWritable = false
    return part.bytes.length
  }

  #take (large: EncodedBatch): 0 {
    this.#large = large
    this.#largeParts = 0
    this.#runtime.budget.holdBatch(large)
    return 0
  }

  #enlarge (pieces: readonly EncodedBatch[]): void {
    this.#dropLarge()
    this.#take(new EncodedBatch('', false, false, Buffer.concat(pieces.map(({ bytes }) => bytes))))
  }

  #dropLarge (): void {
    if (this.#large === null) return
    this.#runtime.budget.releaseBatch(this.#large)
    this.#large = null
  }

  #count (bytes: number): void {
    if (this.#counters !== null) {
      this.#counters.addWrite(bytes)
      return
    }
    this.#runtime.totals.addWrite(bytes)
    this.#earlyWrites++
    this.#earlyBytes += bytes
  }
}
