import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { getHeapStatistics } from 'node:v8'
import { answer } from '../harness/child-endpoint.ts'
import type { StreamServer } from './stream-server.ts'

/** The modules are loaded only by those who need them: each would weigh on the others. */
const starters: Record<string, (streams: number) => Promise<StreamServer>> = {
  bare: async () => await (await import('./bare-server.ts')).startBareServer(),
  fastify: async () => await (await import('./fastify-server.ts')).startFastifyServer(),
  tether: async (streams) => await (await import('./tether-server.ts')).startTetherServer(streams)
}

export interface MemoryReading {
  readonly residentBytes: number
  /** What the heap holds resident but does not use: mostly a young generation that grew while streams opened. */
  readonly idleHeapBytes: number
  readonly heapUsedBytes: number
  readonly openStreams: number
}

const settleIntervalMs = 200
const settleLimitMs = 8_000
/** Two readings in a row that differ by less than this are taken as settled. */
const settledBytes = 512 * 1024

let server: StreamServer | undefined

function running (): StreamServer {
  if (server === undefined) throw new Error('the server has not been started')
  return server
}

/** Collects until the resident size no longer moves: sweeping and giving pages back go on after gc() returns. */
async function settle (): Promise<number> {
  if (globalThis.gc === undefined) throw new Error('this process needs --expose-gc')
  const end = Date.now() + settleLimitMs
  let previous = Number.POSITIVE_INFINITY
  let calmReadings = 0
  let resident = 0
  while (calmReadings < 2 && Date.now() < end) {
    globalThis.gc()
    await delay(settleIntervalMs)
    resident = process.memoryUsage.rss()
    calmReadings = Math.abs(resident - previous) < settledBytes ? calmReadings + 1 : 0
    previous = resident
  }
  return resident
}

const calls = {
  start: async ({ kind, streams }: { kind: string, streams: number }): Promise<number> => {
    const start = starters[kind]
    if (start === undefined) throw new Error(`there is no server of the kind '${kind}'`)
    server = await start(streams)
    return server.port
  },
  read: async (): Promise<MemoryReading> => {
    const openStreams = await running().openCount()
    const residentBytes = await settle()
    const heap = getHeapStatistics()
    return {
      residentBytes,
      idleHeapBytes: heap.total_physical_size - heap.used_heap_size,
      heapUsedBytes: heap.used_heap_size,
      openStreams
    }
  }
}

export type ServerCalls = typeof calls

answer(calls)
