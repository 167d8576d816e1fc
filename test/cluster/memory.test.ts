import t from 'tap'
import { engineContract, type EngineUnderTest } from '../../plugin/entries/contract-tests.ts'
import { memory } from '../../plugin/entries/memory.ts'

const limits = { deadlineMs: 300, maxCalls: 1_000, maxCallBytes: 8_000_000, logEntries: 100_000, logBytes: 67_108_864, recordBytes: 67_108_864 }

const underTest: EngineUnderTest = {
  name: 'memory',
  can: { durable: false, due: true, journal: true },
  faults: ['cut', 'freeze', 'empty', 'restart'],
  deadlineMs: limits.deadlineMs,
  shortestMs: 50,
  queue: { count: limits.maxCalls, bytes: limits.maxCallBytes },
  start: async () => {
    const hub = memory(limits)
    return {
      node: (application) => {
        const engine = hub.engineFor(application)
        return { engine, cut: () => engine.cut(), freeze: () => engine.freeze(), mend: () => engine.mend() }
      },
      empty: () => hub.empty(),
      restart: () => hub.empty()
    }
  }
}

for (const { name, run } of engineContract(underTest)) t.test(name, () => run())
