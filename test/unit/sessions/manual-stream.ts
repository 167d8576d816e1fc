import type { Flushable } from '../../../plugin/delivery/flushable.ts'
import type { DisconnectReason, Stream, StreamReader } from '../../../plugin/streams/stream.ts'

/** A stream whose client takes as many updates as the test says. */
export class ManualStream implements Stream {
  readonly protocol = 'http/1.1'
  readonly url = ''
  readonly verdict = null
  readonly openedAt = 0
  readonly compression = null
  readonly heartbeatMs = 0
  readonly stallTimeoutMs: number
  readonly writeBuffer: number
  readonly goodbye = false
  readonly heldWeight = 0
  readonly queuedBytes = 0
  readonly splices = false
  readonly pieceBytes = 65_536
  readonly idleCarrier = null
  scheduled = false
  gone = false
  reason: DisconnectReason = 'client'
  /** Updates that it takes before it is full. */
  room: number
  /** What its client got: updates with their numbers, gaps, and all else as it is. */
  readonly got: string[] = []
  #reader: StreamReader | null = null
  #goodbye: string | null = null

  constructor ({ room = Infinity, writeBuffer = 2, stallTimeoutMs = 0 } = {}) {
    this.room = room
    this.writeBuffer = writeBuffer
    this.stallTimeoutMs = stallTimeoutMs
  }

  get closing (): boolean { return this.#goodbye !== null }
  get writable (): boolean { return this.room > 0 && !this.gone }

  announce (): void {}

  repace (): void {}

  attach (reader: StreamReader, opening: string): void {
    this.#reader = reader
    this.got.push(opening)
  }

  control (text: string): void {
    this.got.push(text)
  }

  readonly waitingControls = 0

  controlBehind (text: string): void {
    this.control(text)
  }

  flush (now: number): true {
    const reader = this.#reader
    if (reader === null || this.gone) return true
    const { outbox } = reader
    const gap = this.writable ? outbox.takeGap() : 0
    if (gap !== 0) this.got.push(`gap ${gap}`)
    while (this.writable && outbox.cursor < outbox.next) {
      this.got.push(`${outbox.cursor} ${outbox.at(outbox.cursor).text}`)
      outbox.wrote(outbox.cursor + 1, now)
      this.room--
    }
    reader.onFlushed()
    if (this.#goodbye !== null && !outbox.hasUnwritten) this.#part()
    return true
  }

  filled (): void {}
  noteWrite (): void {}

  /** The client takes more. */
  drain (room: number, now: number): void {
    this.room = room
    this.flush(now)
  }

  close (goodbye: string, withinMs: number, reason: DisconnectReason): void {
    this.#goodbye = goodbye
    this.reason = reason
    if (this.#reader === null) this.#part()
    else this.flush(performance.now())
  }

  detach (): void {
    this.#reader = null
  }

  destroy (reason: DisconnectReason): void {
    this.reason = reason
    this.#end()
  }

  #part (): void {
    this.got.push(this.#goodbye!)
    this.#end()
  }

  #end (): void {
    if (this.gone) return
    this.gone = true
    const reader = this.#reader
    this.#reader = null
    reader?.onGone(this.reason)
  }
}

/** Flushes what is scheduled when the test says. */
export class ManualScheduler {
  #scheduled = new Set<Flushable>()

  schedule (stream: Flushable): void {
    this.#scheduled.add(stream)
  }

  run (now: number): void {
    const scheduled = this.#scheduled
    this.#scheduled = new Set()
    for (const stream of scheduled) stream.flush(now, Infinity)
  }
}
