import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { answer } from '../harness/child-endpoint.ts'
import { readMemory, type MemoryReading } from '../harness/memory-reading.ts'
import type { BroadcastServer, StreamServer, StreamServerOptions } from './stream-server.ts'

/** The modules are loaded only by those who need them: each would weigh on the others. */
const starters: Record<string, (options: StreamServerOptions) => Promise<StreamServer | BroadcastServer>> = {
  bare: async () => await (await import('./bare-server.ts')).startBareServer(),
  fastify: async () => await (await import('./fastify-server.ts')).startFastifyServer(),
  tether: async (options) => await (await import('./tether-server.ts')).startTetherServer(options)
}

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

export interface BroadcastOptions {
  readonly frameBytes: number
  readonly bytesPerSecond: number
}

const emptyLookMs = 200

let server: StreamServer | BroadcastServer | undefined
let startedAt = 0
let broadcastBytes = 0

function running (): StreamServer {
  if (server === undefined) throw new Error('the server has not been started')
  return server
}

function broadcasting (): BroadcastServer {
  if (server === undefined || !('broadcast' in server)) throw new Error('this server does not broadcast')
  return server
}

function collect (): void {
  if (globalThis.gc === undefined) throw new Error('this process needs --expose-gc')
  globalThis.gc()
}

const calls = {
  start: async ({ kind, options }: { kind: string, options: StreamServerOptions }): Promise<number> => {
    const start = starters[kind]
    if (start === undefined) throw new Error(`there is no server of the kind '${kind}'`)
    server = await start(options)
    return server.port
  },
  read: async (): Promise<StreamsReading> => {
    const openStreams = await running().openCount()
    return { ...await readMemory(), openStreams }
  },
  /** Broadcasts from now on. */
  broadcast: ({ frameBytes, bytesPerSecond }: BroadcastOptions): void => {
    const server = broadcasting()
    const text = 'x'.repeat(frameBytes)
    startedAt = performance.now()
    setInterval(() => {
      const due = (performance.now() - startedAt) / 1000 * bytesPerSecond
      for (; broadcastBytes + frameBytes <= due; broadcastBytes += frameBytes) server.broadcast(text)
    }, frameBytes / bytesPerSecond * 1000)
  },
  sample: async (): Promise<MemorySample> => {
    const server = broadcasting()
    collect()
    const { rss, heapUsed, external } = process.memoryUsage()
    return {
      seconds: (performance.now() - startedAt) / 1000,
      broadcastBytes,
      residentBytes: rss,
      liveBytes: heapUsed + external,
      bufferedBytes: server.bufferedBytes(),
      openStreams: await server.openCount()
    }
  },
  /** Waits until nothing is left of streams that are gone. */
  empty: async (withinMs: number): Promise<void> => {
    const server = broadcasting()
    const end = Date.now() + withinMs
    while (!server.isEmpty()) {
      if (Date.now() > end) throw new Error('something is left of streams that are gone')
      await delay(emptyLookMs)
    }
  }
}

export type ServerCalls = typeof calls

answer(calls)
