import { once } from 'node:events'
import net from 'node:net'
import { createHistogram, performance } from 'node:perf_hooks'
import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { answer } from '../../../tune/process/child-endpoint.ts'
import { latencyOf, type Latency } from '../report/latency.ts'
import { loopback } from '../streams/loopback.ts'
import type { StreamTarget } from '../streams/socket-stream.ts'
import { ChunkReader } from './chunk-reader.ts'
import { FrameCounter } from './frame-counter.ts'
import { FrameReader, openBlocked, type Pace, type ReaderParts } from './frame-reader.ts'

/** The unit that readers count. */
export type Unit = 'frame' | 'chunk'

export interface PrepareOptions {
  readonly acknowledgementPort: number
  readonly unit: Unit
  /** Length of the shortest frame. */
  readonly frameBytes: number
}

export interface OpenOptions extends StreamTarget {
  readonly count: number
  /** Speed of readers that are not counted. */
  readonly pace?: Pace
}

export interface BeginOptions {
  /** Units that a reader gets in one tick; the readers acknowledge a tick that has reached all of them. */
  readonly unitsPerTick: number
  /** Number of readers whose latency is measured, spread evenly; 0 for none. */
  readonly sampled: number
}

export interface ReadersReading {
  /** Bytes of all bodies together. */
  readonly bytes: number
  readonly processorMicroseconds: number
}

const lastUnitsMs = 30_000
const pollMs = 5
/** Number of the chunk readers that keep their bytes for decoding. */
const keptReaders = 2

const readers: Array<FrameReader | ChunkReader> = []
const latencies = createHistogram({ figures: 3 })
let unit: Unit = 'frame'
let counter = new FrameCounter(1)
let acknowledgement: net.Socket | undefined
let fault: Error | undefined
/** Units of all readers since the last call of `begin`; and the count that completes the present tick. */
let received = 0
let tickComplete = Infinity
let tickUnits = Infinity
let bytesBefore = 0
let processorBefore = process.cpuUsage()

function onUnits (units: number): void {
  received += units
  while (received >= tickComplete) {
    tickComplete += tickUnits
    acknowledgement?.write('.')
  }
}

function createReader (target: StreamTarget): FrameReader | ChunkReader {
  const number = readers.length + 1
  const parts: ReaderParts = {
    target,
    onUnits,
    onFault: (reason) => {
      fault ??= new Error(`reader ${number} ${reason}`)
      // Ends the closed loop, which would wait for ever.
      acknowledgement?.destroy()
    }
  }
  return unit === 'frame' ? new FrameReader(parts, counter) : new ChunkReader(parts, number <= keptReaders)
}

function check (): void {
  if (fault !== undefined) throw fault
}

function totalBytes (): number {
  return readers.reduce((total, { bytes }) => total + bytes, 0)
}

const calls = {
  /** Throws the first fault, if there was one. */
  check,
  prepare: async (options: PrepareOptions): Promise<void> => {
    unit = options.unit
    counter = new FrameCounter(options.frameBytes)
    acknowledgement = net.connect({ port: options.acknowledgementPort, host: loopback, noDelay: true })
    await once(acknowledgement, 'connect')
    acknowledgement.on('error', (error) => { fault ??= error })
  },
  open: ({ count, pace, ...target }: OpenOptions): void => {
    check()
    for (let begun = 0; begun < count; begun += 1) {
      if (pace === undefined) readers.push(createReader(target))
      else openBlocked(target, pace)
    }
  },
  openCount: (): number => readers.filter(({ isOpen }) => isOpen).length,
  begin: ({ unitsPerTick, sampled }: BeginOptions): void => {
    check()
    received = 0
    tickUnits = unitsPerTick * readers.length
    tickComplete = tickUnits
    const step = sampled === 0 ? 0 : Math.max(1, Math.floor(readers.length / sampled))
    for (const [index, reader] of readers.entries()) {
      reader.units = 0
      if (reader instanceof FrameReader) reader.latencies = step > 0 && index % step === 0 ? latencies : null
    }
    bytesBefore = totalBytes()
    processorBefore = process.cpuUsage()
  },
  /** Waits until each reader has `unitsEach` units. Returns the readings since `begin`. */
  finish: async (unitsEach: number): Promise<ReadersReading> => {
    const end = performance.now() + lastUnitsMs
    while (received < unitsEach * readers.length && performance.now() < end) {
      check()
      await delay(pollMs)
    }
    const { user, system } = process.cpuUsage(processorBefore)
    check()
    const wrong = readers.findIndex(({ units }) => units !== unitsEach)
    if (wrong !== -1) {
      throw new Error(`reader ${wrong + 1} of ${readers.length} got ${readers[wrong]?.units} ${unit}s, ${unitsEach} were sent`)
    }
    return { bytes: totalBytes() - bytesBefore, processorMicroseconds: user + system }
  },
  /** Latency from the call of the broadcast to the read of the frame, of all parts that measured it. */
  latency: (): Latency => latencyOf(latencies),
  /** Decodes the kept bytes of some readers. Throws unless each has `expected` frames. */
  decode: (expected: number): void => {
    for (const [index, reader] of readers.entries()) {
      const frames = reader instanceof ChunkReader ? reader.countFrames() : null
      if (frames !== null && frames !== expected) throw new Error(`reader ${index + 1} decoded ${frames} frames, ${expected} were sent`)
    }
  }
}

export type ReaderCalls = typeof calls

answer(calls)
