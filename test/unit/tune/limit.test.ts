import t from 'tap'
import { capacityOf, sampleFor } from '../../../tune/decision/capacity.ts'
import { doubtOf } from '../../../tune/decision/doubt.ts'
import { findLimit, type LimitParts } from '../../../tune/decision/limit.ts'
import type { MemoryFit } from '../../../tune/decision/memory.ts'
import { judgeNoise, undisturbed } from '../../../tune/decision/noise.ts'
import { byLoad, type ServerStep, type Step } from '../../../tune/measure/step.ts'
import { latencyOf } from '../../../tune/measure/stepper.ts'
import { createHistogram, record } from '../../../tune/statistics/histogram.ts'

const objective = { name: 'p99=250ms', share: 0.99, limitMs: 250 }
const most = 100

function latency (milliseconds: number) {
  const histogram = createHistogram()
  for (let count = 0; count < 100; count += 1) record(histogram, milliseconds)
  return latencyOf([histogram])
}

interface Shown {
  readonly server?: Partial<ServerStep> | null
  readonly latencyMs?: number
  readonly busyShare?: number
  readonly achieved?: number
  readonly others?: number
  readonly waited?: number | null
}

/** A step as a server shows it at a load. */
function stepAt (load: number, { server = {}, latencyMs = 10, busyShare = 0, achieved = load, others = 0, waited = null }: Shown = {}): Step {
  return {
    kind: 'measured',
    repeat: 0,
    clients: load,
    load,
    offered: load,
    achieved,
    seconds: 3,
    answer: latency(latencyMs),
    ping: latency(1),
    handled: latency(1),
    spread: latencyOf([]),
    busyShare,
    refusedShare: 0,
    failedShare: 0,
    statuses: { 202: 3 * load },
    lostStreams: 0,
    probe: { updatesPerSecond: 0, updateBytes: 0, silent: null },
    server: server === null
      ? null
      : {
          eventsPerSecond: achieved,
          loop: 0.3,
          processors: 0.3,
          collectionShare: 0.01,
          present: 2,
          backlog: 0,
          runMs: 10,
          heldShare: 0,
          updatesPerSecond: 0,
          updateBytes: 0,
          disconnects: 0,
          streams: load,
          socketBytes: 0,
          handlerErrors: 0,
          flow: { present: 2, perSecond: load, meanMs: 20 },
          memory: { residentBytes: 1e8, heldBytes: 2e7, sessions: load, events: load, opened: load },
          ...server
        },
    generator: { busy: 0.1, lagMs: 1, little: 1 },
    machine: { steal: 0, others, waited },
    void: null
  }
}

/** Loads around a capacity of {@link most}; `beyond` is what the server shows above it, `below` what it shows below. */
function wordFor (beyond: Shown, below: Shown = {}, more: Partial<LimitParts> = {}) {
  const steps = [50, 70, 85, 95, 105, 120].map((load) => load > most ? stepAt(load, { latencyMs: 900, ...beyond }) : stepAt(load, below))
  const capacity = capacityOf(byLoad(steps).map((group) => group.map((step) => sampleFor(step, objective))), objective.limitMs)
  return findLimit({ steps, capacity, memory: null, isOverMemory: false, isGeneratorLimited: false, refusal: null, objective, isInDoubt: false, ...more })
}

const leak: MemoryFit = { baseBytes: 2e7, bytesPerClient: 1e4, bytesPerEvent: 5_000, perEventInterval: [4_000, 6_000], bytesPerOpened: 0, perOpenedInterval: [0, 0], leaksOf: 'event', peakBytes: 1e8 }

t.test('the word follows what the events wait for', async (t) => {
  const rows: Array<[word: string, what: string, given: Parameters<typeof wordFor>]> = [
    ['handler-cpu', 'a busy event loop', [{ server: { loop: 0.99 } }]],
    ['handler-cpu', 'a busy event loop, whatever stands still meanwhile', [{ server: { loop: 0.99, heldShare: 0.9 } }]],
    ['handler-wait', 'a pool', [{ server: { loop: 0.2, runMs: 300 } }]],
    ['handler-wait', 'a pool whose sessions refuse events too', [{ server: { loop: 0.2, runMs: 300 }, busyShare: 0.2 }]],
    ['handler-wait', 'handlers that take longer than a session gets events', [{ latencyMs: 10, busyShare: 0.2, server: { loop: 0.2, runMs: 1_500 } }, { server: { runMs: 1_500 } }]],
    ['write-buffer', 'sessions that stand still', [{ server: { loop: 0.2, heldShare: 0.8 } }]],
    ['write-buffer', 'a pool whose places are held by sessions that stand still, as a light load shows', [{ server: { loop: 0.2, runMs: 300, heldShare: 0.1 } }, { server: { heldShare: 0.9 } }]],
    ['handler-wait', 'sessions that hardly stand still', [{ server: { loop: 0.2, runMs: 300, heldShare: 0.3 } }, { server: { heldShare: 0.2 } }]],
    ['command-buffer', 'bursts', [{ latencyMs: 10, busyShare: 0.05 }]],
    ['memory', 'the collection of garbage', [{ server: { loop: 0.99, collectionShare: 0.6 } }]],
    ['memory', 'a leak, whatever else', [{ server: { loop: 0.99 } }, {}, { memory: leak }]],
    ['memory', 'memory that stays of sessions', [{}, {}, { memory: { ...leak, bytesPerEvent: 0, bytesPerOpened: 30_000, perOpenedInterval: [25_000, 35_000], leaksOf: 'session' } }]],
    ['memory', 'more than --max-memory', [{ server: { loop: 0.99 } }, {}, { isOverMemory: true }]],
    ['handler-cpu', 'late answers, from outside', [{ server: null }, { server: null }]],
    ['handler-wait', 'full channels, from outside', [{ server: null, busyShare: 0.3 }, { server: null }]]
  ]
  for (const [word, what, given] of rows) {
    const { limit, reason } = wordFor(...given)
    t.equal(limit, word, `${what}: ${reason}`)
  }
  t.match(wordFor({}, {}, { memory: leak }).reason, /^Some 5\.00 KB of memory stay of each event \(4\.00 KB to 6\.00 KB\), after garbage collection\. At \d+ events a second that is 1\.\d+ GB an hour\.$/)
})

t.test('where nothing gave way, it says what ended the run', async (t) => {
  const steps = [10, 20, 30].map((load) => stepAt(load))
  const capacity = { estimate: 30, interval: [29, 31] as const, atLeast: true }
  const parts = { steps, capacity, memory: null, isOverMemory: false, isGeneratorLimited: false, refusal: null, objective, isInDoubt: false }
  t.equal(findLimit(parts).limit, 'none-found')
  t.equal(findLimit({ ...parts, refusal: { reason: 'status 503', isSessionLimit: true, option: null } }).limit, 'max-sessions')
  t.equal(findLimit({ ...parts, refusal: { reason: 'connect ECONNREFUSED', isSessionLimit: false, option: null } }).limit, 'none-found')
  t.equal(findLimit({ ...parts, isGeneratorLimited: true }).limit, 'generator')
})

t.test('steps that other processes disturbed do not count beside undisturbed ones, and are noise', async (t) => {
  const quiet = stepAt(50)
  const loud = stepAt(50, { others: 0.6 })
  t.strictSame(undisturbed([loud, quiet, loud]), [quiet])
  t.strictSame(undisturbed([loud, loud]), [loud, loud])
  t.match(judgeNoise([loud, loud, quiet]), { isNoisy: true, signs: ['Other processes used 60 % of the machine.'] })
  t.equal(judgeNoise([quiet, quiet, loud]).isNoisy, false)
})

t.test('a capacity that rests on disturbed steps is in doubt, by what the server lost', async (t) => {
  const of = (waited: number | null, last: Shown = {}) => {
    const steps = [50, 70, 85, 95].map((load) => load > 80 ? stepAt(load, { latencyMs: 900, achieved: 75, waited, ...last }) : stepAt(load, { waited }))
    const groups = byLoad(steps)
    return doubtOf(capacityOf(groups.map((group) => group.map((step) => sampleFor(step, objective))), objective.limitMs)!, groups, steps, [objective])
  }
  t.equal(of(0.02), null, 'a server that hardly waited for a processor')
  t.match(of(0.15), { isTooWide: false })
  const doubt = of(0.5)!
  t.equal(doubt.isTooWide, true)
  t.ok(doubt.capacity.interval[1] >= 150, `it had half of the time, and did 75 a second: ${doubt.capacity.interval[1]}`)
  t.match(of(null, { others: 0.6 }), { isTooWide: true }, 'where nothing tells how long it waited, the share of others does')
  const steps = [stepAt(50), stepAt(90, { latencyMs: 900, achieved: 75, waited: 0.5 }), stepAt(100, { waited: 0.5 })]
  const capacity = { estimate: 75, interval: [70, 80] as const, atLeast: false }
  t.equal(doubtOf(capacity, byLoad(steps.slice(0, 2)), steps, [objective])!.capacity.estimate, 100, 'what held once, in the ramp, did hold')
})

t.test('the word of a run in doubt is a guess, and none where others alone made events late', async (t) => {
  t.match(wordFor({ server: { loop: 0.99 } }, {}, { isInDoubt: true }), { limit: 'handler-cpu', reason: /so this is a guess\.$/ })
  t.match(wordFor({ server: { loop: 0.5, runMs: 0.03 } }, {}, { isInDoubt: true }), { limit: 'none-found' })
  t.match(wordFor({ server: { loop: 0.2, runMs: 300 } }, {}, { isInDoubt: true }), { limit: 'handler-wait' })
})

t.test('a loop that has no processor is not busy by itself', async (t) => {
  t.equal(wordFor({ server: { loop: 0.9, runMs: 300 }, waited: 0.5 }).limit, 'handler-wait')
  t.equal(wordFor({ server: { loop: 1 }, waited: 0.5 }).limit, 'handler-cpu')
})
