import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { getHeapStatistics } from 'node:v8'

/** What a process takes, once it has been collected. */
export interface MemoryReading {
  readonly residentBytes: number
  /** What the heap holds resident but does not use: mostly a young generation that grew while streams opened. */
  readonly idleHeapBytes: number
  readonly heapUsedBytes: number
}

const settleIntervalMs = 200
const settleLimitMs = 8_000
/** Two readings in a row that differ by less than this are taken as settled. */
const settledBytes = 512 * 1024

export async function readMemory (): Promise<MemoryReading> {
  const residentBytes = await settle()
  const heap = getHeapStatistics()
  return { residentBytes, idleHeapBytes: heap.total_physical_size - heap.used_heap_size, heapUsedBytes: heap.used_heap_size }
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
