import { setTimeout as delay } from 'node:timers/promises'
import { ChildProcess } from '../harness/child-process.ts'
import { blockedQuery, type FanOutOptions } from './fan-out-server.ts'
import type { LatencyReading, OpenOptions, ReaderCalls } from './readers.ts'
import type { LoopDelay, ServerAddress, ServerCalls, ServerReading } from './server.ts'
import type { Entry, Workload } from './workload.ts'

/** What one slice of one part added up to. */
export interface Slice {
  readonly ticks: number
  readonly seconds: number
  /** Frames that reached a reader. */
  readonly deliveries: number
  /** Of the server. */
  readonly processorMicroseconds: number
  /** The part of it outside of system calls; null where that is not known. */
  readonly userMicroseconds: number | null
  /** Of the process of the readers. */
  readonly readerMicroseconds: number
  readonly residentBytes: number
}

export interface SliceOptions {
  readonly seconds: number
  /** Without it the loop is closed: a tick begins when the last one has reached everybody. */
  readonly ticksPerSecond?: number
  /** File for a profile of the server. */
  readonly profile?: string
}

/** Opened at a time: fewer than a listening socket queues. */
const openBatch = 250
const openTimeoutMs = 240_000
const fillTimeoutMs = 60_000
const pollMs = 3
/** What a slice may take beyond its duration. */
const slackMs = 40_000
/** Readers whose frames' latency is taken. */
const sampledReaders = 100

/** One entry of a workload: a server and its readers, each a process of its own. */
export class Contestant {
  readonly entry: Entry
  readonly address: ServerAddress
  readonly #workload: Workload
  readonly #server: ChildProcess<ServerCalls>
  readonly #readers: ChildProcess<ReaderCalls>

  private constructor (
    entry: Entry, workload: Workload, address: ServerAddress, server: ChildProcess<ServerCalls>, readers: ChildProcess<ReaderCalls>
  ) {
    this.entry = entry
    this.address = address
    this.#workload = workload
    this.#server = server
    this.#readers = readers
  }

  /** Resolves when all streams are open, and the pipes of the blocked ones are full. */
  static async start (entry: Entry, workload: Workload): Promise<Contestant> {
    const module = (file: string): URL => new URL(file, import.meta.url)
    const server = await ChildProcess.start<ServerCalls>(module('server.ts'), { name: `the server of '${entry.name}'` })
    try {
      const readers = await ChildProcess.start<ReaderCalls>(module('readers.ts'), { name: `the readers of '${entry.name}'` })
      try {
        const address = await server.call('start', { kind: entry.kind.server, options: optionsFor(entry, workload) })
        const contestant = new Contestant(entry, workload, address, server, readers)
        await contestant.#openStreams()
        return contestant
      } catch (error) {
        await readers.stop()
        throw error
      }
    } catch (error) {
      await server.stop()
      throw error
    }
  }

  async run ({ seconds, ticksPerSecond, profile }: SliceOptions): Promise<Slice> {
    const { burst } = this.#workload
    await this.#readers.call('begin', { burst, sampled: ticksPerSecond === undefined ? 0 : sampledReaders })
    let served: ServerReading
    try {
      served = await this.#server.call('run', {
        seconds,
        burst,
        ...ticksPerSecond === undefined ? {} : { ticksPerSecond },
        ...profile === undefined ? {} : { profile }
      }, seconds * 1000 + slackMs)
    } catch (error) {
      // What a reader has met tells more than the server's view of it.
      await this.#readers.call('check', undefined)
      throw error
    }
    const read = await this.#readers.call('finish', { framesEach: served.ticks * burst })
    return {
      ticks: served.ticks,
      seconds: served.seconds,
      deliveries: read.frames,
      processorMicroseconds: served.processorMicroseconds,
      userMicroseconds: served.userMicroseconds,
      readerMicroseconds: read.processorMicroseconds,
      residentBytes: served.residentBytes
    }
  }

  /** Of all slices at a fixed rate so far. */
  async latency (): Promise<LatencyReading> {
    return await this.#readers.call('latency', undefined)
  }

  async watchLoop (): Promise<void> {
    await this.#server.call('watchLoop', undefined)
  }

  /** Of the server, since it is watched. */
  async loopDelay (): Promise<LoopDelay> {
    return await this.#server.call('loopDelay', undefined)
  }

  async stop (): Promise<void> {
    await Promise.all([this.#readers.stop(), this.#server.stop()])
  }

  async #openStreams (): Promise<void> {
    const { readers, frameBytes } = this.#workload
    const { blocked } = this.entry
    const { port, path, headers, opening, acknowledgementPort } = this.address
    await this.#readers.call('prepare', { acknowledgementPort, frameBytes })
    // The blocked ones first, where a loop over all of them meets them first.
    if (blocked !== undefined) {
      await this.#open({ port, path: path + blockedQuery, headers, opening, count: blocked.count, blocked: blocked.pace })
      await this.#server.call('fill', undefined, fillTimeoutMs)
    }
    await this.#open({ port, path, headers, opening, count: readers })
  }

  /** In batches, each waited for at the server, so that its queue of connections never overflows. */
  async #open (streams: OpenOptions): Promise<void> {
    const end = Date.now() + openTimeoutMs
    let opened = await this.#server.call('audience', undefined)
    const total = opened + streams.count
    while (opened < total) {
      const batch = Math.min(openBatch, total - opened)
      await this.#readers.call('open', { ...streams, count: batch })
      opened += batch
      for (;;) {
        const audience = await this.#server.call('audience', undefined)
        if (audience >= opened) break
        await this.#readers.call('check', undefined)
        if (Date.now() > end) throw new Error(`${this.entry.name}: only ${audience} of ${total} streams opened in time`)
        await delay(pollMs)
      }
    }
  }
}

function optionsFor ({ kind, blocked }: Entry, { readers, frameBytes }: Workload): FanOutOptions {
  const options = { frameBytes, streams: readers + (blocked?.count ?? 0) }
  return kind.library === undefined ? options : { ...options, library: kind.library }
}
