import type { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'

const piece = Buffer.from(`:${'x'.repeat(65_533)}\n\n`)
/** A pipe that takes nothing for so long is full. */
const patienceMs = 100
/** Loopback takes some megabytes before anything is felt; far more would be a reader that reads. */
const limitBytes = 64 * 1024 * 1024

/** Streams that are not read, or only slowly. */
export class Pipes {
  readonly #streams = new Set<Writable>()

  add (stream: Writable): void {
    this.#streams.add(stream)
    stream.on('close', () => this.#streams.delete(stream))
  }

  /** Fills each until it takes no more, so that what is sent afterwards is felt. */
  async fill (): Promise<void> {
    await Promise.all([...this.#streams].map(fillOne))
  }
}

async function fillOne (stream: Writable): Promise<void> {
  for (let written = 0; written < limitBytes; written += piece.length) {
    if (stream.write(piece)) continue
    await delay(patienceMs)
    if (stream.writableNeedDrain) return
  }
  throw new Error('a stream that is not read took more than a pipe can hold')
}
