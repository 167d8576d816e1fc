import type { Step } from '../measure/step.ts'
import { median } from '../statistics/quantile.ts'
import type { Estimate } from './capacity.ts'
import type { MemoryFit } from './memory.ts'

/** What gives way first. */
export type Limit = 'handler-cpu' | 'handler-wait' | 'memory' | 'write-buffer' | 'generator' | 'none-found'

export interface LimitFinding {
  readonly limit: Limit
  /** A sentence with the figures behind it. */
  readonly reason: string
}

/** A loop that is this busy has no time left. */
const fullLoop = 0.85
/** Of the sessions that have work, the share that a full write buffer holds up. */
const heldUp = 0.5

export interface LimitParts {
  readonly steps: readonly Step[]
  readonly capacity: Estimate | null
  readonly memory: MemoryFit | null
  readonly isOverMemory: boolean
  /** Whether a load could not be measured because of the generator. */
  readonly isGeneratorLimited: boolean
}

export function findLimit ({ steps, capacity, memory, isOverMemory, isGeneratorLimited }: LimitParts): LimitFinding {
  if (isOverMemory) return { limit: 'memory', reason: 'The server grew beyond --max-memory, and the run stopped.' }
  if (memory?.leaks === true) {
    const [low, high] = memory.perEventInterval
    return { limit: 'memory', reason: `Some ${bytes(memory.bytesPerEvent)} stay in memory of each event (${bytes(low)} to ${bytes(high)}), after garbage collection.` }
  }
  if (capacity === null || capacity.atLeast) {
    return isGeneratorLimited
      ? { limit: 'generator', reason: 'The load generator reached its own limit before the server did.' }
      : { limit: 'none-found', reason: 'The objectives held at every load that was measured.' }
  }
  const failing = steps.filter((step) => step.void === null && step.offered > 1.01 * capacity.estimate)
  const beyond = failing.length > 0 ? failing : steps.filter((step) => step.void === null).slice(-1)
  const figures = beyond.flatMap(({ server, clients }) => server === null ? [] : [{ ...server, clients }])
  if (figures.length === 0) return fromOutside(beyond)
  const loop = median(figures.map((server) => server.loop))
  const stalled = median(figures.map(({ stalledSessions, present, clients }) => stalledSessions / Math.max(1, Math.min(present, clients))))
  const runMs = median(figures.map((server) => server.runMs))
  const busy = `its event loop was busy ${Math.round(loop * 100)} % of the time`
  if (stalled >= heldUp && loop < fullLoop) return { limit: 'write-buffer', reason: `Of the sessions with work, ${Math.round(Math.min(1, stalled) * 100)} % stood still because their write buffer was full; ${busy}.` }
  if (loop >= fullLoop) return { limit: 'handler-cpu', reason: `Beyond the capacity, ${busy}: handlers need more processor time than there is.` }
  return { limit: 'handler-wait', reason: `Handlers took ${runMs.toPrecision(3)} ms on average, though ${busy}: they wait for something else.` }
}

function fromOutside (beyond: readonly Step[]): LimitFinding {
  const busyShare = median(beyond.map((step) => step.busyShare))
  return busyShare > 0.01
    ? { limit: 'handler-wait', reason: `${Math.round(busyShare * 100)} % of the events got 429: command channels were full. From outside only: whether handlers wait or compute is a guess.` }
    : { limit: 'handler-cpu', reason: 'Answers came late, so the event loop was busy. From outside only: this is a guess.' }
}

function bytes (count: number): string {
  return Math.abs(count) < 1_000 ? `${Math.round(count)} B` : Math.abs(count) < 1e6 ? `${(count / 1e3).toPrecision(3)} KB` : `${(count / 1e6).toPrecision(3)} MB`
}
