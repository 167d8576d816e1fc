import { setTimeout as delay } from 'node:timers/promises'
import { ChildProcess } from '../harness/child-process.ts'
import type { Kind } from './kind.ts'
import type { ReaderCalls } from './readers.ts'
import type { ServerCalls } from './server.ts'
import type { MemoryReading } from '../harness/memory-reading.ts'

/** What one slice added up to. */
export interface Slice {
  readonly ticks: number
  readonly seconds: number
  /** Of all bodies. */
  readonly bytes: number
  /** Of the server. */
  readonly processorMicroseconds: number
  readonly readerMicroseconds: number
}

/** Opened at a time: fewer than a listening socket queues. */
const openBatch = 250
const openTimeoutMs = 240_000
const pollMs = 3
/** What a slice may take beyond its duration. */
const slackMs = 60_000

/** One kind: a server and its readers, each a process of its own. */
export class Contestant {
  readonly kind: Kind
  readonly #server: ChildProcess<ServerCalls>
  readonly #readers: ChildProcess<ReaderCalls>
  readonly #port: number
  #streams = 0

  private constructor (kind: Kind, port: number, server: ChildProcess<ServerCalls>, readers: ChildProcess<ReaderCalls>) {
    this.kind = kind
    this.#port = port
    this.#server = server
    this.#readers = readers
  }

  /** @param streams that will be opened */
  static async start (kind: Kind, streams: number): Promise<Contestant> {
    const module = (file: string): URL => new URL(file, import.meta.url)
    const server = await ChildProcess.start<ServerCalls>(module('server.ts'), { name: `the server of '${kind.name}'`, nodeArguments: ['--expose-gc'] })
    try {
      const readers = await ChildProcess.start<ReaderCalls>(module('readers.ts'), { name: `the readers of '${kind.name}'` })
      try {
        const { port, acknowledgementPort } = await server.call('start', {
          server: kind.server,
          streams,
          ...kind.compression === undefined ? {} : { compression: kind.compression }
        })
        await readers.call('prepare', acknowledgementPort)
        return new Contestant(kind, port, server, readers)
      } catch (error) {
        await readers.stop()
        throw error
      }
    } catch (error) {
      await server.stop()
      throw error
    }
  }

  /** In batches, each waited for, so that the server's queue of connections never overflows. */
  async open (count: number): Promise<void> {
    const end = Date.now() + openTimeoutMs
    const total = this.#streams + count
    while (this.#streams < total) {
      const batch = Math.min(openBatch, total - this.#streams)
      await this.#readers.call('open', { port: this.#port, headers: this.kind.headers, count: batch })
      this.#streams += batch
      for (;;) {
        const [audience, opened] = await Promise.all([this.#server.call('audience', undefined), this.#readers.call('opened', undefined)])
        if (audience >= this.#streams && opened >= this.#streams) break
        await this.#readers.call('check', undefined)
        if (Date.now() > end) throw new Error(`${this.kind.name}: only ${audience} of ${total} streams opened in time`)
        await delay(pollMs)
      }
    }
  }

  async run (seconds: number, burst: number): Promise<Slice> {
    await this.#readers.call('begin', undefined)
    let served
    try {
      served = await this.#server.call('run', { seconds, burst }, seconds * 1000 + slackMs)
    } catch (error) {
      // What a reader has met tells more than the server's view of it.
      await this.#readers.call('check', undefined)
      throw error
    }
    const read = await this.#readers.call('finish', served.ticks, slackMs)
    return { ...served, bytes: read.bytes, readerMicroseconds: read.processorMicroseconds }
  }

  /** Throws where what some readers got does not decode to every frame. */
  async decode (burst: number): Promise<void> {
    await this.#readers.call('decode', burst, slackMs)
  }

  async memory (): Promise<MemoryReading> {
    return await this.#server.call('memory', undefined)
  }

  async stats (): Promise<object | null> {
    return await this.#server.call('stats', undefined)
  }

  async stop (): Promise<void> {
    await Promise.all([this.#readers.stop(), this.#server.stop()])
  }
}
