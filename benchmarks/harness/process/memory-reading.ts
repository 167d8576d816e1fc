import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { getHeapStatistics } from 'node:v8'

/** Memory of a process after a garbage collection. */
export interface MemoryReading {
  readonly residentBytes: number
  /** Unused resident part of the heap: mostly a young generation that grew while streams opened. */
  readonly idleHeapBytes: number
  readonly heapUsedBytes: number
}

/** Memory of one stream, as an average over many, in KiB. */
export interface StreamMemory {
  readonly residentKiB: number
  /** Without the unused part of the heap. */
  readonly inUseKiB: number
  /** The JavaScript objects alone. */
  readonly heapKiB: number
}

/** Streams that are opened before the measurement and kept open: they fill free room from the start of the process. */
export function warmUpStreams (streams: number): number {
  return Math.ceil(streams / 10)
}

/** Without the unused part of the heap, which would hide the added memory. */
export function inUseBytes ({ residentBytes, idleHeapBytes }: MemoryReading): number {
  return residentBytes - idleHeapBytes
}

export function memoryOfStreams (before: MemoryReading, after: MemoryReading, streams: number): StreamMemory {
  const each = (bytes: (reading: MemoryReading) => number): number => (bytes(after) - bytes(before)) / streams / 1024
  return {
    residentKiB: each(({ residentBytes }) => residentBytes),
    inUseKiB: each(inUseBytes),
    heapKiB: each(({ heapUsedBytes }) => heapUsedBytes)
  }
}

const settleIntervalMs = 200
const settleLimitMs = 8_000
/** Two readings in a row that differ by less than this count as settled. */
const settledBytes = 512 * 1024

export async function readMemory (): Promise<MemoryReading> {
  const residentBytes = await settle()
  const heap = getHeapStatistics()
  return { residentBytes, idleHeapBytes: heap.total_physical_size - heap.used_heap_size, heapUsedBytes: heap.used_heap_size }
}

/** Collects until the resident size no longer changes: the engine still sweeps and returns pages after gc() returns. */
async function settle (): Promise<number> {
  const end = Date.now() + settleLimitMs
  let previous = Number.POSITIVE_INFINITY
  let calmReadings = 0
  let resident = 0
  while (calmReadings < 2 && Date.now() < end) {
    collect()
    await delay(settleIntervalMs)
    resident = process.memoryUsage.rss()
    calmReadings = Math.abs(resident - previous) < settledBytes ? calmReadings + 1 : 0
    previous = resident
  }
  return resident
}

/** Collects all garbage. */
export function collect (): void {
  if (globalThis.gc === undefined) throw new Error('this process needs --expose-gc')
  globalThis.gc()
}
