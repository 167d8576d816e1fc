import { once } from 'node:events'
import net from 'node:net'
import { createHistogram, performance } from 'node:perf_hooks'
import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { answer } from '../harness/child-endpoint.ts'
import { FrameCounter } from './frame-counter.ts'
import { openBlocked, Reader } from './reader.ts'

export interface OpenOptions {
  readonly port: number
  readonly path: string
  readonly headers: Record<string, string>
  readonly opening: string
  readonly count: number
  /** Readers that take nothing, or little; they are not counted. */
  readonly blocked?: 'frozen' | 'slow'
}

export interface BeginOptions {
  /** Frames of one tick; a tick that has reached all readers is acknowledged. */
  readonly burst: number
  /** Of this many readers the latency is taken, spread evenly; 0 for none. */
  readonly sampled: number
}

export interface ReaderReading {
  /** Of all readers together. */
  readonly frames: number
  readonly processorMicroseconds: number
}

/** From the call that broadcasts to the read that brings the frame, in milliseconds. */
export interface LatencyReading {
  readonly p50: number
  readonly p99: number
  readonly maximum: number
  /** Frames in the sample. */
  readonly count: number
}

const lastFramesMs = 20_000
const pollMs = 5

const readers: Reader[] = []
const blockedSockets: net.Socket[] = []
const latencies = createHistogram({ figures: 3 })
let counter = new FrameCounter(1)
let acknowledgement: net.Socket | undefined
let fault: Error | undefined
/** Frames of all readers since the part of the round began, and how many complete the present tick. */
let received = 0
let tickComplete = Infinity
let framesPerTick = Infinity
let processorBefore = process.cpuUsage()

function onFrames (frames: number): void {
  received += frames
  while (received >= tickComplete) {
    tickComplete += framesPerTick
    acknowledgement?.write('.')
  }
}

function onFault (reader: Reader, reason: string): void {
  fault ??= new Error(`reader ${readers.indexOf(reader) + 1} of ${readers.length} ${reason}`)
  // Ends the closed loop, which would wait for ever.
  acknowledgement?.destroy()
}

function check (): void {
  if (fault !== undefined) throw fault
}

const calls = {
  /** Throws what went wrong, if anything did. */
  check,
  prepare: async ({ acknowledgementPort, frameBytes }: { acknowledgementPort: number, frameBytes: number }): Promise<void> => {
    counter = new FrameCounter(frameBytes)
    acknowledgement = net.connect({ port: acknowledgementPort, host: '127.0.0.1', noDelay: true })
    await once(acknowledgement, 'connect')
    acknowledgement.on('error', (error) => { fault ??= error })
  },
  open: ({ port, path, headers, opening, count, blocked }: OpenOptions): void => {
    check()
    const request = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n` +
      Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('') + '\r\n' + opening
    for (let opened = 0; opened < count; opened += 1) {
      if (blocked === undefined) readers.push(new Reader({ port, request, counter, onFrames, onFault }))
      else blockedSockets.push(openBlocked(port, request, blocked))
    }
  },
  begin: ({ burst, sampled }: BeginOptions): void => {
    check()
    received = 0
    framesPerTick = burst * readers.length
    tickComplete = framesPerTick
    const step = sampled === 0 ? Infinity : Math.max(1, Math.floor(readers.length / sampled))
    for (const [index, reader] of readers.entries()) {
      reader.frames = 0
      reader.latencies = sampled > 0 && index % step === 0 ? latencies : null
    }
    processorBefore = process.cpuUsage()
  },
  /** Waits until each reader has so many frames, and says what they saw since the beginning. */
  finish: async ({ framesEach }: { framesEach: number }): Promise<ReaderReading> => {
    const end = performance.now() + lastFramesMs
    while (received < framesEach * readers.length && performance.now() < end) {
      check()
      await delay(pollMs)
    }
    const { user, system } = process.cpuUsage(processorBefore)
    check()
    const wrong = readers.findIndex(({ frames }) => frames !== framesEach)
    if (wrong !== -1) {
      throw new Error(`reader ${wrong + 1} of ${readers.length} got ${readers[wrong]?.frames} frames, ${framesEach} were sent`)
    }
    return { frames: received, processorMicroseconds: user + system }
  },
  /** Of all parts in which it was taken. */
  latency: (): LatencyReading => ({
    p50: latencies.percentile(50) / 1000,
    p99: latencies.percentile(99) / 1000,
    maximum: latencies.max / 1000,
    count: latencies.count
  })
}

export type ReaderCalls = typeof calls

answer(calls)
