import type { Transform } from 'node:stream'
import * as zlib from 'node:zlib'
import type { Limits } from '../../schemas/limits.ts'
import type { Carrier, CarrierOwner, Protocol } from '../carriers/carrier.ts'
import { EncodedBatch } from '../carriers/encoded-batch.ts'
import type { ByteCarrier } from '../carriers/http-carrier.ts'
import type { StreamCompression } from '../carriers/stream-compression.ts'
import type { Compression } from './compression.ts'

type StreamedEncoding = 'br' | 'zstd'
type Compressor = Transform & zlib.Zlib

interface ZstdOfNewerNode {
  createZstdCompress: (options: { params: Record<number, number> }) => Compressor
  constants: Record<'ZSTD_c_compressionLevel' | 'ZSTD_c_windowLog', number>
}

function createCompressor (encoding: StreamedEncoding, { compressorWindowBits, brotliQuality, zstdLevel }: Limits): Compressor {
  if (encoding === 'br') {
    const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_LGWIN, BROTLI_PARAM_MODE, BROTLI_MODE_TEXT } = zlib.constants
    return zlib.createBrotliCompress({
      params: { [BROTLI_PARAM_QUALITY]: brotliQuality, [BROTLI_PARAM_LGWIN]: compressorWindowBits, [BROTLI_PARAM_MODE]: BROTLI_MODE_TEXT }
    })
  }
  const { createZstdCompress, constants } = zlib as unknown as ZstdOfNewerNode
  return createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: zstdLevel, [constants.ZSTD_c_windowLog]: compressorWindowBits } })
}

/**
 * Puts one of Node's compressors between a stream and its response, and flushes it after
 * every write. The compressor works on other threads, so its output comes later. Until then
 * the text counts as queued. At `compressorQueueBytes` the carrier is full, like a socket.
 */
export class CompressorCarrier implements Carrier, CarrierOwner, StreamCompression {
  readonly encoding: StreamedEncoding
  readonly own = true
  readonly #response: ByteCarrier
  readonly #compression: Compression
  readonly #compressor: Compressor
  #owner: CarrierOwner | null = null
  #bytesBefore = 0
  #bytesAfter = 0
  /** Bytes of text without output yet, and how many of them the compressor has. */
  #waitingBytes = 0
  #takenBytes = 0
  #waiting: Buffer[] = []
  #output: Buffer[] = []
  #isWorking = false
  #isResponseWritable = true
  #isEnding = false
  #isClosed = false
  /** Whether the owner waits for a drain. */
  #owesDrain = false

  constructor (response: ByteCarrier, encoding: StreamedEncoding, compression: Compression) {
    this.#response = response
    this.encoding = encoding
    this.#compression = compression
    this.#compressor = createCompressor(encoding, compression.limits)
    this.#compressor.on('readable', () => {
      this.#collect()
      if (!this.#isWorking) this.#writeOutput()
    })
    // The only cause is a lack of memory. The peer could not decode the rest of the stream.
    this.#compressor.on('error', () => { this.#response.destroy() })
  }

  get protocol (): Protocol { return this.#response.protocol }
  get opensAtOnce (): boolean { return this.#response.opensAtOnce }
  get pieceBytes (): number { return this.#response.pieceBytes }
  get queuedBytes (): number { return this.#waitingBytes + this.#response.queuedBytes }
  get compression (): StreamCompression { return this }
  get bytesBefore (): number { return this.#bytesBefore }
  get bytesAfter (): number { return this.#bytesAfter }

  attach (owner: CarrierOwner): void {
    this.#owner = owner
    this.#response.attach(this)
  }

  writeText (text: string): boolean {
    return this.#write(Buffer.from(text))
  }

  writeBatch (batch: EncodedBatch): boolean {
    return this.#write(batch.bytes)
  }

  writePart (part: EncodedBatch): boolean {
    return this.#write(part.bytes)
  }

  watchDrain (): void {
    this.#response.watchDrain()
  }

  beat (): boolean {
    return this.#response.beat()
  }

  close (): void {
    this.#isEnding = true
    this.#work()
  }

  destroy (): void {
    this.#response.destroy()
    this.#letGo()
  }

  drained (): void {
    this.#isResponseWritable = true
    this.#drain()
  }

  filled (): void {
    this.#owner?.filled()
  }

  aborted (): void {
    this.#owner?.aborted()
  }

  closed (): void {
    this.#letGo()
    this.#owner?.closed()
  }

  #write (text: Buffer): boolean {
    if (this.#isClosed) return false
    this.#waiting.push(text)
    this.#waitingBytes += text.length
    this.#bytesBefore += text.length
    this.#compression.stats.bytesBefore += text.length
    this.#compression.stats.privateBlocks++
    this.#work()
    const isWritable = this.#isWritable
    this.#owesDrain = !isWritable
    return isWritable
  }

  get #isWritable (): boolean {
    return this.#isResponseWritable && this.#waitingBytes < this.#compression.limits.compressorQueueBytes
  }

  /** Gives the compressor all waiting text in one write. Text that arrives meanwhile goes into the next. */
  #work (): void {
    if (this.#isWorking || this.#isClosed) return
    if (this.#waiting.length === 0) {
      if (this.#isEnding) this.#endOutput()
      return
    }
    this.#isWorking = true
    const text = this.#waiting.length === 1 ? this.#waiting[0]! : Buffer.concat(this.#waiting)
    this.#waiting = []
    this.#takenBytes = text.length
    this.#compressor.write(text)
    this.#compressor.flush(() => { this.#worked() })
  }

  #worked (): void {
    this.#isWorking = false
    if (this.#isClosed) return
    this.#waitingBytes -= this.#takenBytes
    this.#takenBytes = 0
    this.#collect()
    this.#writeOutput()
    this.#work()
    this.#drain()
  }

  #collect (): void {
    for (let bytes: Buffer | null; (bytes = this.#compressor.read() as Buffer | null) !== null;) this.#output.push(bytes)
  }

  #endOutput (): void {
    this.#isWorking = true
    this.#compressor.on('end', () => {
      if (this.#isClosed) return
      this.#writeOutput()
      this.#response.close()
    })
    this.#compressor.end()
  }

  #writeOutput (): void {
    if (this.#output.length === 0) return
    const bytes = this.#output.length === 1 ? this.#output[0]! : Buffer.concat(this.#output)
    this.#output = []
    this.#bytesAfter += bytes.length
    this.#compression.stats.bytesAfter += bytes.length
    if (this.#response.writeBatch(new EncodedBatch('', false, false, bytes))) return
    this.#isResponseWritable = false
    if (this.#owesDrain) return
    // The write of this text returned true, so the owner does not know yet.
    this.#owesDrain = true
    this.#owner?.filled()
  }

  #drain (): void {
    if (!this.#owesDrain || !this.#isWritable) return
    this.#owesDrain = false
    this.#owner?.drained()
  }

  #letGo (): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#waiting = []
    this.#output = []
    this.#compressor.destroy()
  }
}
