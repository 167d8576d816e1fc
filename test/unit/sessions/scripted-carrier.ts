import type { Carrier, CarrierOwner } from '../../../plugin/carriers/carrier.ts'
import type { EncodedBatch } from '../../../plugin/carriers/encoded-batch.ts'
import type { NumberedBatch } from '../../../plugin/carriers/numbered-batch.ts'

/** A carrier whose peer takes as many writes as the test says. */
export class ScriptedCarrier implements Carrier {
  readonly protocol = 'http/1.1' as const
  readonly opensAtOnce = false
  readonly queuedBytes = 0
  readonly pieceBytes: number
  /** Writes that it takes before it is full. */
  room = Infinity
  /** Everything that was written, a line for each write. */
  readonly writes: string[] = []
  /** Writes of updates with a line before each. It keeps every second chunk, as a full socket does. */
  numbered = 0
  /** Whether it was closed from this side. */
  isClosed = false
  /** Called within each write. */
  onWrite = (): void => {}
  readonly #kept: Array<{ chunk: Buffer, text: string }> = []
  #owner: CarrierOwner | null = null

  constructor (pieceBytes: number) {
    this.pieceBytes = pieceBytes
  }

  attach (owner: CarrierOwner): void {
    this.#owner = owner
  }

  writeText (text: string, bytes: number): boolean {
    if (bytes !== Buffer.byteLength(text)) throw new Error(`${bytes} is not the length of ${JSON.stringify(text)}`)
    return this.#write(text)
  }

  writeBatch (batch: EncodedBatch): boolean {
    return this.#write(batch.bytes.toString())
  }

  writeNumbered (batch: NumberedBatch, prefix: string, first: number, bytes: number): boolean {
    const text = batch.textFor(prefix, first)
    const chunk = batch.chunkFor(prefix, first)
    if (chunk.toString() !== `${bytes.toString(16)}\r\n${text}\r\n`) throw new Error(`${JSON.stringify(chunk.toString())} is not a chunk of ${JSON.stringify(text)}`)
    if (this.numbered++ % 2 === 1) {
      batch.keepChunk()
      this.#kept.push({ chunk, text })
    }
    return this.writeText(text, bytes)
  }

  /** Throws if a chunk that it kept has changed since. */
  checkKept (): void {
    for (const { chunk, text } of this.#kept) if (!chunk.toString().endsWith(`\r\n${text}\r\n`)) throw new Error(`${JSON.stringify(text)} became ${JSON.stringify(chunk.toString())}`)
  }

  writePart (part: EncodedBatch): boolean {
    return this.#write(part.bytes.toString())
  }

  #write (text: string): boolean {
    if (text.length > this.pieceBytes) throw new Error('too many bytes for one write')
    if (this.isClosed || this.room <= 0) throw new Error('a write to a carrier that takes none')
    this.writes.push(text)
    this.onWrite()
    return !this.isClosed && --this.room > 0
  }

  /** Reports that it is full, apart from a write. */
  fill (): void {
    this.#owner?.filled()
  }

  /** The peer takes more. */
  drain (room: number): void {
    const wasFull = this.room <= 0
    this.room = room
    if (wasFull && room > 0) this.#owner?.drained()
  }

  /** The peer leaves. */
  cut (): void {
    this.isClosed = true
    this.#owner?.closed()
  }

  watchDrain (): void {}
  beat (): boolean { return true }
  close (): void { this.cut() }
  destroy (): void { this.isClosed = true }
}
