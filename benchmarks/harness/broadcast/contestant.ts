import { setTimeout as delay } from 'node:timers/promises'
import type { ChildProcess, Children } from '../process/child-process.ts'
import type { LibraryKind } from '../process/library.ts'
import type { MemoryReading } from '../process/memory-reading.ts'
import type { Latency } from '../report/latency.ts'
import { liveUrl, type StreamTarget } from '../streams/socket-stream.ts'
import type { Pace } from './frame-reader.ts'
import { blockedQuery } from './pipes.ts'
import type { OpenOptions, ReaderCalls, Unit } from './readers.ts'
import type { MemorySample, ServerCalls, ServerReading } from './server.ts'
import type { Shape } from './shapes.ts'

/** A measured way of sending the same data to many readers. */
export interface BroadcastKind extends LibraryKind {
  /** Name of its starter. */
  readonly server: string
  /** Request headers of its readers. */
  readonly headers: Readonly<Record<string, string>>
  readonly opening?: string
  /** Default HTTP/1.1. */
  readonly protocol?: 'http2'
  readonly compression?: object
}

export interface ContestantParts {
  readonly kind: BroadcastKind
  /** URL of the server's module, which calls `serveBroadcasts`. */
  readonly module: URL
  readonly unit: Unit
  /** Frames of one tick. */
  readonly burst: number
  readonly frameBytes: number
  /** Streams that will be opened. */
  readonly streams: number
  readonly shape?: Shape | undefined
}

/** Sums of one slice of a measurement. */
export interface Slice extends ServerReading {
  /** Frames that reached a reader. */
  readonly deliveries: number
  /** Bytes that reached a reader. */
  readonly bytes: number
  /** Processor time of the readers' process. */
  readonly readerMicroseconds: number
}

export interface SliceOptions {
  readonly seconds: number
  /** Ends a closed loop after this number of ticks. */
  readonly ticks?: number
  /** Without it the loop is closed: a tick begins when the last one has reached all readers. */
  readonly ticksPerSecond?: number
  /** File for a profile of the server. */
  readonly profile?: string
}

/** Streams that are opened at a time: fewer than a listening socket queues. */
const openBatch = 250
const openTimeoutMs = 240_000
const fillTimeoutMs = 60_000
const pollMs = 3
/** Time that a call may take beyond its duration. */
const slackMs = 60_000
/** Number of readers whose latency is measured. */
const sampledReaders = 100

/** A server and its readers, each a process of its own. */
export class Contestant {
  readonly name: string
  readonly port: number
  readonly #parts: ContestantParts
  readonly #server: ChildProcess<ServerCalls>
  readonly #readers: ChildProcess<ReaderCalls>
  #audience = 0
  /** Readers that are counted. */
  #counted = 0
  /** Frames sent so far. */
  #frames = 0

  private constructor (parts: ContestantParts, port: number, server: ChildProcess<ServerCalls>, readers: ChildProcess<ReaderCalls>) {
    this.name = parts.kind.name
    this.port = port
    this.#parts = parts
    this.#server = server
    this.#readers = readers
  }

  static async start (children: Children, parts: ContestantParts): Promise<Contestant> {
    const { kind: { name, server: kind, library, compression }, module, unit, streams, frameBytes, shape } = parts
    const server = await children.start<ServerCalls>(module, { name: `the server of '${name}'` })
    const readers = await children.start<ReaderCalls>(new URL('readers.ts', import.meta.url), { name: `the readers of '${name}'` })
    const { port, acknowledgementPort } = await server.call('start', {
      kind,
      options: { streams, frameBytes, library, compression, shape }
    })
    await readers.call('prepare', { acknowledgementPort, unit, frameBytes })
    return new Contestant(parts, port, server, readers)
  }

  /** Opens streams in batches. Waits for each batch at both ends, so that the server's queue of connections never overflows. */
  async open (count: number): Promise<void> {
    await this.#open({ ...this.#target(), count })
  }

  /** Opens readers that take nothing, or little, and are not counted. */
  async openBlocked (count: number, pace: Pace): Promise<void> {
    await this.#open({ ...this.#target(), path: liveUrl + blockedQuery, count, pace })
  }

  /** Fills the pipes of these readers, so that the server notices later writes. */
  async fillPipes (): Promise<void> {
    await this.#server.call('fill', undefined, fillTimeoutMs)
  }

  async run ({ seconds, ...options }: SliceOptions): Promise<Slice> {
    const { burst, unit } = this.#parts
    const unitsPerTick = unit === 'frame' ? burst : 1
    await this.#readers.call('begin', { unitsPerTick, sampled: options.ticksPerSecond === undefined ? 0 : sampledReaders })
    let served: ServerReading
    try {
      served = await this.#server.call('run', { seconds, burst, ...options }, seconds * 1000 + slackMs)
    } catch (error) {
      // The readers' fault explains more than the server's.
      await this.#readers.call('check', undefined)
      throw error
    }
    const { bytes, processorMicroseconds } = await this.#readers.call('finish', served.ticks * unitsPerTick, slackMs)
    this.#frames += served.ticks * burst
    return { ...served, deliveries: served.ticks * burst * this.#counted, bytes, readerMicroseconds: processorMicroseconds }
  }

  /** Latency of all slices at a fixed rate so far. */
  async latency (): Promise<Latency> {
    return await this.#readers.call('latency', undefined)
  }

  async watchLoop (): Promise<void> {
    await this.#server.call('watchLoop', undefined)
  }

  /** Loop delay of the server since `watchLoop`. */
  async loopDelay (): Promise<Latency> {
    return await this.#server.call('loopDelay', undefined)
  }

  /** Throws unless the bytes of some readers decode to every sent frame. */
  async decode (): Promise<void> {
    await this.#readers.call('decode', this.#frames, slackMs)
  }

  /** Throws if a counted reader has lost its stream. */
  async check (): Promise<void> {
    await this.#readers.call('check', undefined)
  }

  async sample (): Promise<MemorySample> {
    return await this.#server.call('sample', undefined)
  }

  /** Memory of the server after it has settled. */
  async memory (): Promise<MemoryReading> {
    return await this.#server.call('memory', undefined)
  }

  async stats (): Promise<object | null> {
    return await this.#server.call('stats', undefined)
  }

  #target (): StreamTarget {
    const { headers, opening, protocol } = this.#parts.kind
    return { port: this.port, headers, opening, protocol }
  }

  async #open ({ count, ...options }: OpenOptions): Promise<void> {
    const end = Date.now() + openTimeoutMs
    for (let left = count; left > 0; left -= openBatch) {
      const batch = Math.min(openBatch, left)
      await this.#readers.call('open', { ...options, count: batch })
      this.#audience += batch
      if (options.pace === undefined) this.#counted += batch
      for (;;) {
        const [audience, opened] = await Promise.all([this.#server.call('audience', undefined), this.#readers.call('openCount', undefined)])
        if (audience >= this.#audience && opened >= this.#counted) break
        await this.#readers.call('check', undefined)
        if (Date.now() > end) throw new Error(`${this.name}: only ${audience} of ${this.#audience} streams opened in time`)
        await delay(pollMs)
      }
    }
  }
}

/** Slices of one kind together, as figures of one frame that reached one reader. */
export interface Delivery {
  readonly ticks: number
  readonly seconds: number
  readonly deliveriesPerSecond: number
  readonly bytes: number
  /** Processor time of the server. */
  readonly processorMicroseconds: number
  readonly userMicroseconds: number
  readonly readerMicroseconds: number
  /** Resident size of the server at the end. */
  readonly residentBytes: number
  /** Values of the server, slice by slice. */
  readonly processorMicrosecondsOfSlices: readonly number[]
}

export function deliveryOf (slices: readonly Slice[]): Delivery {
  const sum = (part: Exclude<keyof Slice, 'residentBytes'>): number => slices.reduce((total, slice) => total + slice[part], 0)
  const deliveries = sum('deliveries')
  return {
    ticks: sum('ticks'),
    seconds: sum('seconds'),
    deliveriesPerSecond: deliveries / sum('seconds'),
    bytes: sum('bytes') / deliveries,
    processorMicroseconds: sum('processorMicroseconds') / deliveries,
    userMicroseconds: sum('userMicroseconds') / deliveries,
    readerMicroseconds: sum('readerMicroseconds') / deliveries,
    residentBytes: slices.at(-1)?.residentBytes ?? 0,
    processorMicrosecondsOfSlices: slices.map((slice) => slice.processorMicroseconds / slice.deliveries)
  }
}
