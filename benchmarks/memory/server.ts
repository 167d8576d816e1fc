import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { answer } from '../harness/process/child-endpoint.ts'
import { collect, readMemory, type MemoryReading } from '../harness/process/memory-reading.ts'
import type { StreamServer, StreamServerOptions } from './stream-server.ts'

/** A reading with the streams that were open. */
export interface StreamsReading extends MemoryReading {
  readonly openStreams: number
}

/** Under load. */
export interface MemorySample {
  /** Since the first broadcast. */
  readonly seconds: number
  readonly broadcastBytes: number
  readonly residentBytes: number
  /** In the heap and beside it, after a full collection. */
  readonly liveBytes: number
  /** As the server itself counts them. */
  readonly bufferedBytes: number
  readonly openStreams: number
}

const emptyLookMs = 200

let server: StreamServer | undefined
let startedAt = 0
let broadcastBytes = 0

function running (): StreamServer {
  if (server === undefined) throw new Error('the server has not been started')
  return server
}

const calls = {
  start: async ({ kind, options }: { kind: 'bare' | 'tether', options: StreamServerOptions }): Promise<number> => {
    server = kind === 'bare'
      ? await (await import('./bare-server.ts')).startBareServer()
      : await (await import('./tether-server.ts')).startTetherServer(options)
    return server.port
  },
  read: async (): Promise<StreamsReading> => {
    const openStreams = running().openCount()
    return { ...await readMemory(), openStreams }
  },
  /** Broadcasts from now on. */
  broadcast: ({ frameBytes, bytesPerSecond }: { frameBytes: number, bytesPerSecond: number }): void => {
    const server = running()
    const text = 'x'.repeat(frameBytes)
    startedAt = performance.now()
    setInterval(() => {
      const due = (performance.now() - startedAt) / 1000 * bytesPerSecond
      for (; broadcastBytes + frameBytes <= due; broadcastBytes += frameBytes) server.broadcast(text)
    }, frameBytes / bytesPerSecond * 1000)
  },
  sample: (): MemorySample => {
    const server = running()
    collect()
    const { rss, heapUsed, external } = process.memoryUsage()
    return {
      seconds: (performance.now() - startedAt) / 1000,
      broadcastBytes,
      residentBytes: rss,
      liveBytes: heapUsed + external,
      bufferedBytes: server.bufferedBytes(),
      openStreams: server.openCount()
    }
  },
  /** Waits until nothing is left of streams that are gone. */
  empty: async (withinMs: number): Promise<void> => {
    const end = Date.now() + withinMs
    while (!running().isEmpty()) {
      if (Date.now() > end) throw new Error('something is left of streams that are gone')
      await delay(emptyLookMs)
    }
  }
}

export type ServerCalls = typeof calls

answer(calls)
