import type { EncodedBatch } from '../../carriers/encoded-batch.ts'
import type { Carrier, CarrierOwner, Protocol } from '../../carriers/carrier.ts'

/** A client that takes everything at once, and remembers nothing. */
export class NullCarrier implements Carrier {
  readonly protocol: Protocol
  readonly pieceBytes: number
  readonly queuedBytes = 0
  readonly opensAtOnce = false
  #owner: CarrierOwner | null = null

  constructor (protocol: Protocol, pieceBytes: number) {
    this.protocol = protocol
    this.pieceBytes = pieceBytes
  }

  attach (owner: CarrierOwner): void {
    this.#owner = owner
  }

  writeText (_text: string): boolean { return true }
  writeBatch (_batch: EncodedBatch): boolean { return true }
  writePart (_part: EncodedBatch): boolean { return true }
  watchDrain (): void {}
  beat (): boolean { return true }
  destroy (): void {}

  close (): void {
    // As for a socket, the end is news of a later time.
    queueMicrotask(() => { this.#owner?.closed() })
  }
}
