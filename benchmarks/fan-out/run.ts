import { mkdirSync } from 'node:fs'
import process from 'node:process'
import { comparedKinds, requireBuild } from '../harness/process/library.ts'
import { requireDescriptors } from '../harness/process/descriptor-limit.ts'
import { readCommandLine, readCount, readCounts, readPositive, runBenchmark } from '../harness/report/command-line.ts'
import { Comparison } from '../harness/report/comparison.ts'
import { chooseNamed } from '../harness/report/kinds.ts'
import { describeMachine } from '../harness/report/machine.ts'
import { Progress } from '../harness/report/progress.ts'
import { publish } from '../harness/report/report.ts'
import { judgeRounds } from './goals.ts'
import { bare, carrierKinds, comparableKinds, counted, floor, sessionKinds, usualKinds, watchedKinds, type Kind } from './kind.ts'
import { measureRound, type Round, type RoundSettings } from './round.ts'
import { describeSlicing, measureSlicing, type SlicingRound, type SlicingSettings } from './slicing.ts'
import { describeRounds } from './tables.ts'
import { groupsWorkload, privateWorkload, streamsOf, workload, type Blocked, type Workload } from './workload.ts'

/** File descriptors besides the streams: control connections, modules, standard streams. */
const descriptorsForItself = 256
const readersBesideBlocked = 900
/** Members of 1,000 groups of 10, each in two of them. */
const readersInGroups = 5_000
const slicedStreams = 10_000
const packages = ['fastify', '@sinclair/typebox', 'better-sse', '@fastify/sse', '@fastify/websocket', 'ws']

await runBenchmark(async () => {
  const given = readCommandLine('bench:fan-out', {
    clients: { value: 'N,…', help: 'readers (with --burst or --size: 1000)' },
    burst: { value: 'N,…', help: 'frames of one tick (with --clients or --size: 1)' },
    size: { value: 'BYTES,…', help: 'bytes of one frame (200)' },
    carriers: { help: 'over HTTP/2 and WebSockets, each beside its own floor, in place of event streams over HTTP/1.1' },
    groups: { help: 'instead, or with --burst also: broadcasts to 1000 groups of 10, each of 5000 sessions in two, and to all' },
    private: { help: 'the same: one private send in ten deliveries, to 1000 readers' },
    frozen: { value: 'N', help: 'the same: 900 readers beside N that take nothing, against 900 alone' },
    slow: { value: 'N', help: 'the same: 900 readers beside N that take 50 KB/s, against 900 alone' },
    slicing: { help: 'the same: how long a broadcast to 10000 holds the event loop, and what it does to requests and timers' },
    full: { help: 'all of it, instead of 1 frame to 2000 readers and bursts of 10 to 1000' },
    kinds: { value: 'NAME,…', help: 'these of all kinds, and the bare loop' },
    compare: { value: 'FOLDER', help: "also another working copy's build of the library" },
    repeats: { value: 'N', help: 'fresh servers of each kind (9)' },
    seconds: { value: 'N', help: 'duration of each measured part (2)' },
    rate: { value: 'N', help: 'deliveries a second of the part at a fixed rate, for latency; 0 leaves it out (40000)' },
    quick: { help: '3 repeats of 1 second, only the closed loop' },
    profile: { value: 'FOLDER', help: 'write a .cpuprofile of each closed loop there' },
    json: { value: 'FILE', help: 'write the raw figures there' }
  })
  const quick = given.quick !== undefined
  const withSlicing = given.slicing !== undefined || given.full !== undefined
  const workloads = chooseWorkloads(given, chooseKinds(given))
  const repeats = readCount('repeats', given.repeats, quick ? 3 : 9)
  const rate = given.rate ?? (quick ? '0' : '40000')
  const seconds = readPositive('seconds', given.seconds, quick ? 1 : 2)
  const settings: RoundSettings = {
    warmUpSeconds: quick ? 1 : 2,
    seconds,
    sliceSeconds: 0.25,
    rate: rate === '0' ? 0 : readPositive('rate', rate, 0),
    ...given.profile === undefined ? {} : { profiles: given.profile }
  }
  const slicing: SlicingSettings = {
    streams: slicedStreams,
    frameBytes: 200,
    ticksPerSecond: 2,
    postsPerSecond: 200,
    seconds: seconds * 5,
    warmUpSeconds: settings.warmUpSeconds
  }
  requireDescriptors(Math.max(0, ...workloads.map(streamsOf), withSlicing ? slicedStreams : 0) + descriptorsForItself)
  requireBuild()
  if (given.profile !== undefined) mkdirSync(given.profile, { recursive: true })

  const machine = describeMachine(packages)
  const progress = new Progress((workloads.length + (withSlicing ? 1 : 0)) * repeats)
  const rounds: Round[] = []
  const slicingRounds: SlicingRound[] = []
  // Ctrl-C leads here as well; nothing asynchronous runs after it.
  process.on('exit', report)
  for (let repeat = 0; repeat < repeats; repeat += 1) {
    const which = `repeat ${repeat + 1} of ${repeats}`
    for (const workload of workloads) {
      const onStep = (step: string): void => progress.begin(`${workload.name}, ${which}: ${step}`)
      rounds.push(...await measureRound(workload, repeat, settings, onStep))
      progress.end()
    }
    if (!withSlicing) continue
    slicingRounds.push(...await measureSlicing(repeat, slicing, (step) => progress.begin(`slicing, ${which}: ${step}`)))
    progress.end()
  }

  function report (): void {
    if (rounds.length + slicingRounds.length === 0) return
    const measured = workloads.filter(({ name }) => rounds.some(({ workload }) => workload === name)).map((workload) => {
      const own = rounds.filter((round) => round.workload === workload.name)
      return { workload, comparison: new Comparison(own, workload.shape === undefined ? bare : counted), ticksPerSecond: own[0]?.fixedRate?.ticksPerSecond }
    })
    publish({
      benchmark: 'fan-out',
      machine,
      settings: { ...settings, repeats, slicing },
      workloads: measured.map(({ workload }) => workload),
      rounds,
      slicingRounds,
      verdicts: measured.flatMap(({ workload, comparison }) => judgeRounds(workload, comparison))
    }, [
      ...measured.flatMap(({ workload, comparison, ticksPerSecond }) =>
        describeRounds(workload, comparison, ticksPerSecond)),
      ...slicingRounds.length > 0 ? describeSlicing(slicingRounds, slicing) : []
    ], given.json)
  }
})

interface Kinds {
  readonly usual: readonly Kind[]
  readonly carriers: readonly Kind[]
  /** For workloads that need sessions. */
  readonly sessions: readonly Kind[]
}

function chooseKinds ({ kinds: list, compare }: Partial<Record<'kinds' | 'compare', string>>): Kinds {
  const withCompared = (kinds: readonly Kind[]): Kind[] => [...kinds, ...comparedKinds(comparableKinds.filter((kind) => kinds.includes(kind)), compare)]
  const kinds: Kinds = {
    usual: withCompared(usualKinds),
    carriers: withCompared([...usualKinds.filter(({ name }) => name === bare || name === floor), ...carrierKinds]),
    sessions: withCompared(sessionKinds)
  }
  if (list === undefined) return kinds
  const all = new Map([...kinds.usual, ...kinds.carriers, ...kinds.sessions, ...watchedKinds].map((kind) => [kind.name, kind]))
  const chosen = chooseNamed([...all.values()], list, bare)
  return { usual: chosen, carriers: chosen, sessions: kinds.sessions.filter(({ name }) => name === counted || chosen.some((kind) => kind.name === name)) }
}

function chooseWorkloads (
  given: Partial<Record<'clients' | 'burst' | 'size' | 'frozen' | 'slow' | 'carriers' | 'groups' | 'private' | 'slicing' | 'full', string>>,
  { usual, carriers, sessions }: Kinds
): readonly Workload[] {
  const isFull = given.full !== undefined
  const sizes = readCounts('size', given.size ?? '200')
  const readers = given.clients === undefined ? [] : readCounts('clients', given.clients)
  const blocked = (['frozen', 'slow'] as const).flatMap((pace): Blocked[] => {
    const count = given[pace] ?? (isFull ? '100' : undefined)
    return count === undefined ? [] : [{ count: readCount(pace, count, 0), pace }]
  })
  const extra = sizes.flatMap((size) => [
    ...blocked.map((beside) => workload(usual, readersBesideBlocked, 1, size, beside)),
    ...isFull || given.groups !== undefined ? [groupsWorkload(sessions, readers[0] ?? readersInGroups, size)] : [],
    ...isFull || given.private !== undefined ? [privateWorkload(sessions, readers[0] ?? 1_000, size)] : []
  ])
  const kinds = given.carriers === undefined ? usual : carriers
  const goals = (kinds: readonly Kind[]): Workload[] => [workload(kinds, 2_000, 1, 200), workload(kinds, 1_000, 10, 200)]
  if (isFull) {
    return [
      ...[100, 1_000, 10_000].map((readers) => workload(usual, readers, 1, 200)),
      ...goals(usual),
      workload(usual, 1_000, 100, 200),
      ...[2_000, 20_000].flatMap((size) => [workload(usual, 1_000, 1, size), workload(usual, 1_000, 10, size)]),
      ...goals(carriers),
      ...extra
    ]
  }
  if (given.burst === undefined && extra.length > 0) return extra
  if (given.burst === undefined && given.size === undefined && readers.length === 0) return given.slicing === undefined ? goals(kinds) : []
  const crossed = (readers.length > 0 ? readers : [1_000]).flatMap((count) =>
    readCounts('burst', given.burst ?? '1').flatMap((burst) => sizes.map((size) => workload(kinds, count, burst, size))))
  return [...crossed, ...extra]
}
