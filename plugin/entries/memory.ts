import { MemoryHub } from '../cluster/memory/memory-hub.ts'

export function memory (): MemoryHub {
  return new MemoryHub({ deadlineMs: 2_000, maxCalls: 10_000, maxCallBytes: 67_108_864, logEntries: 100_000, logBytes: 67_108_864, recordBytes: 268_435_456 })
}
