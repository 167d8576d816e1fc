import type { Objective } from '../input/options.ts'
import type { ClientRefusal } from '../measure/measured.ts'
import { latencyAt, lostShareLimit, type Step } from '../measure/step.ts'
import { median } from '../statistics/quantile.ts'
import type { Estimate } from './capacity.ts'
import type { MemoryFit } from './memory.ts'

/** What gives way first. */
export type Limit = 'handler-cpu' | 'handler-wait' | 'memory' | 'write-buffer' | 'command-buffer' | 'max-sessions' | 'generator' | 'none-found'

export interface LimitFinding {
  readonly limit: Limit
  /** A sentence with the figures behind it. */
  readonly reason: string
}

/** A loop that is this busy has no time left. */
const fullLoop = 0.85
/** Of the time that events waited or ran, the share that a full write buffer held them up. */
const heldUp = 0.5
/** Loads below this share of the capacity are light: hardly an event waits for another. */
const lightLoad = 0.8
/** Of the time, the share that garbage collection may take. */
const collecting = 0.5
/** A session whose handlers are busy for less of the time than this refuses events because they come in bursts. */
const mostlyIdle = 0.8
/** Handlers that take less than this share of an objective do not make events late. */
const quickShare = 0.1
/** Handlers that take longer than this under load wait for something that they share. */
const slowedDown = 1.5

export interface LimitParts {
  readonly steps: readonly Step[]
  readonly capacity: Estimate | null
  readonly memory: MemoryFit | null
  readonly isOverMemory: boolean
  /** Whether a load could not be measured because of the generator. */
  readonly isGeneratorLimited: boolean
  /** Null if the server took all clients. */
  readonly refusal: ClientRefusal | null
  /** The objective that decides. */
  readonly objective: Objective
  /** Whether other processes disturbed every step in which it did not hold: then the word is a guess. */
  readonly isInDoubt: boolean
}

/** Says what gives way first. */
export function findLimit (parts: LimitParts): LimitFinding {
  const finding = find(parts)
  return parts.isInDoubt ? { ...finding, reason: `${finding.reason} Other processes disturbed every step in which an objective did not hold, so this is a guess.` } : finding
}

function find (parts: LimitParts): LimitFinding {
  const { steps, capacity, memory, isOverMemory, isGeneratorLimited, refusal } = parts
  if (isOverMemory) return { limit: 'memory', reason: 'The server grew beyond --max-memory, and the run stopped.' }
  if (memory?.leaksOf === 'session') {
    const [low, high] = memory.perOpenedInterval
    return { limit: 'memory', reason: `Some ${bytes(memory.bytesPerOpened)} of memory stay of each session (${bytes(low)} to ${bytes(high)}), after its end and a garbage collection. A million sessions leave ${bytes(memory.bytesPerOpened * 1e6)}.` }
  }
  if (memory?.leaksOf === 'event') {
    const [low, high] = memory.perEventInterval
    const hourly = capacity === null ? '' : ` At ${Math.round(capacity.estimate)} events a second that is ${bytes(memory.bytesPerEvent * capacity.estimate * 3_600)} an hour.`
    return { limit: 'memory', reason: `Some ${bytes(memory.bytesPerEvent)} of memory stay of each event (${bytes(low)} to ${bytes(high)}), after garbage collection.${hourly}` }
  }
  if (capacity === null && steps.length === 0 && refusal === null && !isGeneratorLimited) return { limit: 'none-found', reason: 'Nothing could be measured.' }
  if (capacity === null || capacity.atLeast) {
    if (refusal?.isSessionLimit === true) return { limit: 'max-sessions', reason: refusedBy(refusal) }
    if (refusal !== null) return { limit: 'none-found', reason: capacity === null ? `No client could connect: ${refusal.reason}.` : `The objectives held for as many clients as could connect: ${refusal.reason}.` }
    return isGeneratorLimited
      ? { limit: 'generator', reason: 'The load generator reached its own limit before the server did.' }
      : { limit: 'none-found', reason: 'The objectives held at every load that was measured.' }
  }
  const failing = steps.filter((step) => step.void === null && step.offered > 1.01 * capacity.estimate)
  const beyond = failing.length > 0 ? failing : steps.filter((step) => step.void === null).slice(-1)
  const figures = beyond.flatMap(({ server }) => server ?? [])
  if (figures.length === 0) return fromOutside(beyond)
  const loop = median(beyond.flatMap(loopOf))
  // Beyond the capacity events may wait for those that are held up, by a pool for example: then only a light load shows it.
  const held = Math.max(heldShareOf(beyond), heldShareOf(steps.filter((step) => step.void === null && step.offered < lightLoad * capacity.estimate)))
  const collections = median(figures.map(({ collectionShare }) => collectionShare))
  const runMs = median(figures.map((server) => server.runMs))
  const busy = `its event loop was busy ${Math.round(loop * 100)} % of the time`
  if (held >= heldUp && loop < fullLoop) return { limit: 'write-buffer', reason: `For ${Math.round(held * 100)} % of their time, events were in sessions that stood still because their write buffer was full; ${busy}.` }
  if (collections >= collecting) return { limit: 'memory', reason: `The collection of garbage took ${Math.round(collections * 100)} % of the time: the heap is nearly full, or handlers make much garbage.` }
  if (loop < fullLoop && isOfBursts(beyond, parts, runMs)) return { limit: 'command-buffer', reason: `${Math.round(median(beyond.map((step) => step.busyShare)) * 100)} % of the events got 429, though the others were handled in time: several came at once, and commandBuffer had no room for them.` }
  if (loop >= fullLoop) return { limit: 'handler-cpu', reason: `Beyond the capacity, ${busy}: handlers need more processor time than there is.` }
  // Events that are late though neither loop nor handlers are busy wait for what others took.
  if (parts.isInDoubt && runMs < quickShare * parts.objective.limitMs) return { limit: 'none-found', reason: `Neither handlers (${runMs.toPrecision(2)} ms on average) nor the event loop (busy ${Math.round(loop * 100)} %) were at their limit.` }
  return { limit: 'handler-wait', reason: `Handlers took ${runMs.toPrecision(3)} ms on average, though ${busy}: they wait for something else.` }
}

function refusedBy ({ option }: ClientRefusal): string {
  const held = 'The objectives held for as many clients as the server takes'
  if (option === 'maxSessionsPerOwner') return `${held}: maxSessionsPerOwner bounds the sessions of one owner, and to the server all clients of this run are one. Raise it for the measurement.`
  if (option === 'maxSessionsPerConnection') return `${held}: maxSessionsPerConnection bounds the sessions of one connection.`
  return `${held}: it has no room for more sessions (maxSessions).`
}

/** Share of the time in which the event loop was busy, of the time in which it had a processor or needed none. */
function loopOf ({ server, machine: { waited } }: Step): number[] {
  if (server === null) return []
  const lost = Math.min(0.9, waited ?? 0)
  return [Math.max(0, server.loop - lost) / (1 - lost)]
}

function heldShareOf (steps: readonly Step[]): number {
  const shares = steps.flatMap(({ server }) => server?.heldShare ?? [])
  return shares.length === 0 ? 0 : median(shares)
}

/** Whether events were refused only because some came at once: handlers have time left, and are no slower than under little load. */
function isOfBursts (beyond: readonly Step[], { steps, objective: { share, limitMs } }: LimitParts, runMs: number): boolean {
  const ofSession = median(beyond.map(({ server, clients }) => server === null ? Infinity : server.eventsPerSecond / clients * server.runMs / 1_000))
  const least = Math.min(...steps.flatMap(({ server }) => server === null || server.eventsPerSecond === 0 ? [] : server.runMs))
  return median(beyond.map((step) => step.busyShare)) > lostShareLimit &&
    median(beyond.flatMap((step) => latencyAt(step, share) ?? [])) <= limitMs &&
    ofSession < mostlyIdle && runMs < slowedDown * least
}

function fromOutside (beyond: readonly Step[]): LimitFinding {
  const busyShare = median(beyond.map((step) => step.busyShare))
  return busyShare > 0.01
    ? { limit: 'handler-wait', reason: `${Math.round(busyShare * 100)} % of the events got 429: command channels were full. From outside only: whether handlers wait or compute is a guess.` }
    : { limit: 'handler-cpu', reason: 'Answers came late, so the event loop was busy. From outside only: this is a guess.' }
}

function bytes (count: number): string {
  return Math.abs(count) < 1_000 ? `${Math.round(count)} B` : Math.abs(count) < 1e6 ? `${(count / 1e3).toPrecision(3)} KB` : Math.abs(count) < 1e9 ? `${(count / 1e6).toPrecision(3)} MB` : `${(count / 1e9).toPrecision(3)} GB`
}
