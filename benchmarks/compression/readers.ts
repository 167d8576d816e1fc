import { once } from 'node:events'
import net from 'node:net'
import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { answer } from '../harness/child-endpoint.ts'
import { ChunkReader } from './chunk-reader.ts'

export interface OpenOptions {
  readonly port: number
  readonly headers: Record<string, string>
  readonly count: number
}

export interface ReadersReading {
  /** Of all bodies together. */
  readonly bytes: number
  readonly processorMicroseconds: number
}

/** Of those that keep what they get, so that it can be decoded. */
const keptReaders = 2
const lastChunksMs = 30_000
const pollMs = 5

const readers: ChunkReader[] = []
let acknowledgement: net.Socket | undefined
let fault: Error | undefined
let received = 0
let tickComplete = Infinity
let chunksBefore: number[] = []
let bytesBefore = 0
let ticksOfAll = 0
let processorBefore = process.cpuUsage()

function onChunks (chunks: number): void {
  received += chunks
  while (received >= tickComplete) {
    tickComplete += readers.length
    acknowledgement?.write('.')
  }
}

function check (): void {
  if (fault !== undefined) throw fault
}

function totalBytes (): number {
  return readers.reduce((total, { bytes }) => total + bytes, 0)
}

const calls = {
  check,
  prepare: async (port: number): Promise<void> => {
    acknowledgement = net.connect({ port, host: '127.0.0.1', noDelay: true })
    await once(acknowledgement, 'connect')
    acknowledgement.on('error', (error) => { fault ??= error })
  },
  open: ({ port, headers, count }: OpenOptions): void => {
    check()
    const request = `GET /live HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n` +
      Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('') + '\r\n'
    for (let opened = 0; opened < count; opened += 1) {
      const number = readers.length + 1
      const onFault = (reason: string): void => {
        fault ??= new Error(`reader ${number} ${reason}`)
        acknowledgement?.destroy()
      }
      readers.push(new ChunkReader({ port, request, onChunks, onFault }, number <= keptReaders))
    }
  },
  /** How many have their first chunk. */
  opened: (): number => readers.filter(({ chunks }) => chunks > 0).length,
  begin: (): void => {
    check()
    received = 0
    tickComplete = readers.length
    chunksBefore = readers.map(({ chunks }) => chunks)
    bytesBefore = totalBytes()
    processorBefore = process.cpuUsage()
  },
  /** Waits until each has its chunk of each tick, and says what came since the beginning. */
  finish: async (ticks: number): Promise<ReadersReading> => {
    const end = performance.now() + lastChunksMs
    while (received < ticks * readers.length && performance.now() < end) {
      check()
      await delay(pollMs)
    }
    const { user, system } = process.cpuUsage(processorBefore)
    check()
    const wrong = readers.findIndex(({ chunks }, index) => chunks - (chunksBefore[index] ?? 0) !== ticks)
    if (wrong !== -1) throw new Error(`reader ${wrong + 1} got ${(readers[wrong]?.chunks ?? 0) - (chunksBefore[wrong] ?? 0)} chunks of ${ticks} bursts`)
    ticksOfAll += ticks
    return { bytes: totalBytes() - bytesBefore, processorMicroseconds: user + system }
  },
  /** Decodes what some have got since they were opened, and throws where that is not every frame. */
  decode: (burst: number): void => {
    for (const [index, reader] of readers.entries()) {
      const frames = reader.countFrames()
      if (frames !== null && frames !== ticksOfAll * burst) {
        throw new Error(`reader ${index + 1} decoded ${frames} frames, ${ticksOfAll * burst} were sent`)
      }
    }
  }
}

export type ReaderCalls = typeof calls

answer(calls)
