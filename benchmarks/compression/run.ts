import type { MemoryRound } from '../harness/broadcast/stream-memory.ts'
import { requireDescriptors } from '../harness/process/descriptor-limit.ts'
import { comparedKinds, requireBuild } from '../harness/process/library.ts'
import { warmUpStreams } from '../harness/process/memory-reading.ts'
import { readCommandLine, readCount, readPositive, runBenchmark } from '../harness/report/command-line.ts'
import { Comparison, type Contest } from '../harness/report/comparison.ts'
import { describeMachine } from '../harness/report/machine.ts'
import { Progress } from '../harness/report/progress.ts'
import { publish } from '../harness/report/report.ts'
import { rotated } from '../harness/report/rotation.ts'
import { summarise } from '../harness/report/statistics.ts'
import { formatTable } from '../harness/report/table.ts'
import { comparableKinds, control, each, floor, identity, kinds as usualKinds, moreKinds, shared } from './kind.ts'
import { measureMemory, measureRound, type Round, type Settings } from './round.ts'

const descriptorsForItself = 256

const cost = { what: 'CPU per delivery', figure: (round: Round) => round.processorMicroseconds, direction: 'at most' } as const
const speed = { what: 'deliveries a second', figure: (round: Round) => round.deliveriesPerSecond, direction: 'at least' } as const
const goalsOf = (burst: number): ReadonlyArray<Contest<Round>> => [
  { kind: shared, what: 'bytes per delivery', figure: (round) => round.bytes, direction: 'at most', limit: 0.25 },
  { ...cost, kind: shared, limit: 1.25 },
  { ...cost, kind: shared, against: floor, limit: burst === 1 ? 1.08 : 1.15 },
  ...burst === 1 ? [] : [{ ...speed, kind: shared, against: floor, limit: 0.87 }],
  { ...cost, kind: shared, against: each, limit: 0.2 },
  { ...cost, kind: control, what: 'CPU per delivery, the noise', direction: 'within', limit: 0.05 }
]

await runBenchmark(async () => {
  const given = readCommandLine('bench:compression', {
    clients: { value: 'N', help: 'readers (1000)' },
    burst: { value: 'N', help: 'frames of one tick (10)' },
    repeats: { value: 'N', help: 'fresh servers of each kind (9)' },
    seconds: { value: 'N', help: 'measured time of each kind in each repeat (2)' },
    streams: { value: 'N', help: 'streams whose memory is measured; 0 leaves that out (5000)' },
    'memory-repeats': { value: 'N', help: 'fresh servers of each kind for that (3)' },
    more: { help: "also a compressor of each stream's own, and readers with exact ids" },
    compare: { value: 'FOLDER', help: "also another working copy's build of the library" },
    quick: { help: '3 repeats of 1 second, without memory' },
    json: { value: 'FILE', help: 'write the raw figures there' }
  })
  const quick = given.quick !== undefined
  const kinds = [...usualKinds, ...given.more === undefined ? [] : moreKinds, ...comparedKinds(comparableKinds, given.compare)]
  const settings: Settings = {
    clients: readCount('clients', given.clients, 1_000),
    burst: readCount('burst', given.burst, 10),
    repeats: readCount('repeats', given.repeats, quick ? 3 : 9),
    seconds: readPositive('seconds', given.seconds, quick ? 1 : 2),
    warmUpSeconds: 1,
    sliceSeconds: 0.25,
    streams: given.streams === '0' || (quick && given.streams === undefined) ? 0 : readCount('streams', given.streams, 5_000),
    memoryRepeats: readCount('memory-repeats', given['memory-repeats'], 3)
  }
  requireDescriptors(Math.max(settings.clients, settings.streams + warmUpStreams(settings.streams)) + descriptorsForItself)
  requireBuild()

  const machine = describeMachine(['fastify', '@sinclair/typebox'])
  const memoryKinds = settings.streams === 0 ? [] : kinds
  const progress = new Progress(settings.repeats + settings.memoryRepeats * memoryKinds.length)
  const rounds: Round[] = []
  for (let repeat = 0; repeat < settings.repeats; repeat += 1) {
    rounds.push(...await measureRound(kinds, repeat, settings, (step) => progress.begin(`repeat ${repeat + 1}: ${step}`)))
    progress.end()
  }
  const memoryRounds: MemoryRound[] = []
  for (let repeat = 0; repeat < settings.memoryRepeats && memoryKinds.length > 0; repeat += 1) {
    for (const kind of rotated(memoryKinds, repeat)) {
      progress.begin(`memory of ${settings.streams} streams, repeat ${repeat + 1}: ${kind.name}`)
      memoryRounds.push(await measureMemory(kind, repeat, settings))
      progress.end()
    }
  }

  const comparison = new Comparison(rounds, identity)
  const verdicts = goalsOf(settings.burst).flatMap((goal) => comparison.judge(goal))
  const sections = [
    formatTable(kinds.map(({ name }) => name), [
      { title: `bursts of ${settings.burst}, ${settings.clients} readers`, value: (name) => name },
      ...comparison.compared('bytes/delivery', ({ bytes }) => bytes, 1),
      ...comparison.compared('CPU µs/delivery', (round) => round.processorMicroseconds, 2, [identity, floor]),
      comparison.median('deliveries/s', (round) => round.deliveriesPerSecond, 0),
      comparison.ratio((round) => round.deliveriesPerSecond, floor),
      comparison.median('readers CPU µs', (round) => round.readerMicroseconds, 2)
    ]),
    ...memoryKinds.length > 0 ? describeMemory(memoryRounds, memoryKinds.map(({ name }) => name), settings.streams) : []
  ]
  publish({ benchmark: 'compression', machine, settings, rounds: [...rounds, ...memoryRounds], verdicts }, sections, given.json)
})

function describeMemory (rounds: readonly MemoryRound[], names: readonly string[], streams: number): string[] {
  const comparison = new Comparison(rounds, identity)
  const others = comparison.values(identity, ({ inUseKiB }) => inUseKiB)
  const extra = comparison.values(shared, ({ inUseKiB }) => inUseKiB).map((value, repeat) => value - (others[repeat] ?? Number.NaN))
  return [
    formatTable(names, [
      { title: `KiB a stream, ${streams} streams`, value: (name) => name },
      comparison.median('resident', ({ residentKiB }) => residentKiB, 2),
      comparison.range(({ residentKiB }) => residentKiB, 2),
      comparison.median('in use', ({ inUseKiB }) => inUseKiB, 2),
      comparison.median('heap', ({ heapKiB }) => heapKiB, 2)
    ]),
    `${shared}: ${summarise(extra).median.toFixed(2)} KiB in use a stream more than identity (goal: at most 1)`
  ]
}
