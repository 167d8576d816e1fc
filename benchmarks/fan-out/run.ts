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
import { bare, comparableKinds, kinds as allKinds } from './kind.ts'
import { measureRound, type Round, type RoundSettings } from './round.ts'
import { describeSlicing, measureSlicing, type SlicingRound, type SlicingSettings } from './slicing.ts'
import { describeRounds } from './tables.ts'
import { allWorkloads, defaultWorkloads, entriesOf, streamsOf, workload, type Workload } from './workload.ts'

/** File descriptors besides the streams: control connections, modules, standard streams. */
const descriptorsForItself = 256
const readersBesideBlocked = 900
const slicedStreams = 10_000
const packages = ['fastify', '@sinclair/typebox', 'better-sse', '@fastify/sse', '@fastify/websocket', 'ws']

await runBenchmark(async () => {
  const given = readCommandLine('bench:fan-out', {
    clients: { value: 'N,…', help: 'readers (with --burst or --size: 1000)' },
    burst: { value: 'N,…', help: 'frames of one tick (with --clients or --size: 1)' },
    size: { value: 'BYTES,…', help: 'bytes of one frame (200)' },
    frozen: { value: 'N', help: 'also 900 readers beside N that take nothing, against 900 alone' },
    slow: { value: 'N', help: 'also 900 readers beside N that take 50 KB/s, against 900 alone' },
    slicing: { help: 'also what a broadcast to 10000 does to requests that arrive meanwhile' },
    full: { help: 'all of it, instead of 1 frame to 2000 readers and bursts of 10 to 1000' },
    kinds: { value: 'NAME,…', help: 'only these, and the bare loop' },
    compare: { value: 'FOLDER', help: "also another working copy's build of the library" },
    repeats: { value: 'N', help: 'fresh servers of each kind (9)' },
    seconds: { value: 'N', help: 'duration of each measured part (2)' },
    rate: { value: 'N', help: 'deliveries a second of the part at a fixed rate, for latency; 0 leaves it out (40000)' },
    quick: { help: '3 repeats of 1 second, only the closed loop' },
    profile: { value: 'FOLDER', help: 'write a .cpuprofile of each closed loop there' },
    json: { value: 'FILE', help: 'write the raw figures there' }
  })
  const quick = given.quick !== undefined
  const kinds = chooseNamed([...allKinds, ...comparedKinds(comparableKinds, given.compare)], given.kinds, bare)
  const withSlicing = given.slicing !== undefined || given.full !== undefined
  const workloads = chooseWorkloads(given)
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
      rounds.push(...await measureRound(kinds, workload, repeat, settings, onStep))
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
      return { workload, comparison: new Comparison(own, bare), ticksPerSecond: own[0]?.fixedRate?.ticksPerSecond }
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
        describeRounds(workload.name, comparison, entriesOf(workload, kinds).map(({ name }) => name), ticksPerSecond)),
      ...slicingRounds.length > 0 ? describeSlicing(slicingRounds, slicing) : []
    ], given.json)
  }
})

function chooseWorkloads (
  given: Partial<Record<'clients' | 'burst' | 'size' | 'frozen' | 'slow' | 'slicing' | 'full', string>>
): readonly Workload[] {
  if (given.full !== undefined) return allWorkloads
  const sizes = readCounts('size', given.size ?? '200')
  const blocked = (['frozen', 'slow'] as const).flatMap((pace) => {
    const count = given[pace]
    if (count === undefined) return []
    return sizes.map((size) => workload(readersBesideBlocked, 1, size, { count: readCount(pace, count, 0), pace }))
  })
  if (given.clients === undefined && given.burst === undefined) {
    if (blocked.length > 0 || given.slicing !== undefined) return blocked
    if (given.size === undefined) return defaultWorkloads
  }
  const crossed = readCounts('clients', given.clients ?? '1000').flatMap((readers) =>
    readCounts('burst', given.burst ?? '1').flatMap((burst) => sizes.map((size) => workload(readers, burst, size))))
  return [...crossed, ...blocked]
}
