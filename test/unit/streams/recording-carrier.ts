import type { Carrier, CarrierOwner } from '../../../plugin/carriers/carrier.ts'
import type { EncodedBatch } from '../../../plugin/carriers/encoded-batch.ts'

/** A carrier of nothing: remembers what it is given, and is as full as a test says. */
export class RecordingCarrier implements Carrier {
  readonly protocol = 'http/1.1' as const
  readonly opensAtOnce = false
  readonly pieceBytes: number
  readonly splices: boolean
  queuedBytes = 0
  /** Whether it takes no more after the next write. */
  isFull = false
  /** Whether the peer answers each sign of life. */
  answers = true
  owner: CarrierOwner | null = null
  /** Kind and text of each write. */
  readonly writes: Array<[kind: string, text: string]> = []
  /** What was written by reference. */
  readonly batches: EncodedBatch[] = []
  readonly parts: Buffer[] = []
  readonly events: string[] = []

  constructor (pieceBytes = 1_000, splices = false) {
    this.pieceBytes = pieceBytes
    this.splices = splices
  }

  /** All that was written. A character may lie in two parts, so these are joined first. */
  get text (): string {
    return Buffer.concat(this.#bytes).toString()
  }

  readonly #bytes: Buffer[] = []

  together (write: () => void): void {
    this.events.push('together')
    write()
  }

  attach (owner: CarrierOwner): void {
    this.owner = owner
  }

  writeText (text: string, bytes: number, isDeflatable = false): boolean {
    if (bytes !== Buffer.byteLength(text)) throw new Error(`${bytes} bytes were told of ${JSON.stringify(text)}`)
    return this.#write(isDeflatable ? 'deflatable' : 'text', Buffer.from(text))
  }

  writeBatch (batch: EncodedBatch): boolean {
    this.batches.push(batch)
    return this.#write('batch', batch.bytes)
  }

  writePart ({ bytes }: EncodedBatch, last: boolean): boolean {
    this.parts.push(bytes)
    return this.#write(last ? 'last part' : 'part', bytes)
  }

  #write (kind: string, bytes: Buffer): boolean {
    if (bytes.length > this.pieceBytes) throw new Error(`${bytes.length} bytes are too many for one write`)
    this.writes.push([kind, bytes.toString()])
    this.#bytes.push(bytes)
    return !this.isFull
  }

  watchDrain (): void {
    this.events.push('watchDrain')
  }

  beat (): boolean {
    this.events.push('beat')
    return this.answers
  }

  close (code: number): void {
    this.events.push(`close ${code}`)
  }

  destroy (): void {
    this.events.push('destroy')
  }
}
