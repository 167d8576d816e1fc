import { mkdirSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import process from 'node:process'
import { readCommandLine, readCount, readPositive, runBenchmark } from '../harness/command-line.ts'
import { requireDescriptors } from '../harness/descriptor-limit.ts'
import { describeMachine, formatMachine } from '../harness/machine.ts'
import { requirePluginBuild } from '../harness/plugin-build.ts'
import { Progress } from '../harness/progress.ts'
import { describeComparison, judgeRounds } from './goals.ts'
import { chooseKinds, comparedKinds, kinds as allKinds, type Kind } from './kind.ts'
import { measureRound, type Round, type RoundSettings } from './round.ts'
import { describeSlicing, measureSlicing, type SlicingRound, type SlicingSettings } from './slicing.ts'
import { describeWorkload } from './tables.ts'
import { allWorkloads, defaultWorkloads, entriesOf, streamsOf, workload, type Workload } from './workload.ts'

/** Beside the streams: the control connections, modules, standard streams. */
const descriptorsForItself = 256
const readersBesideBlocked = 900
const slicedStreams = 10_000
const packages = ['fastify', '@sinclair/typebox', 'better-sse', '@fastify/sse', 'fastify-sse-v2', '@fastify/websocket', 'ws']

await runBenchmark(async () => {
  const given = readCommandLine('bench:fan-out', {
    clients: { value: 'N,…', help: 'readers (with --burst or --size: 1000)' },
    burst: { value: 'N,…', help: 'frames of one tick (with --clients or --size: 1)' },
    size: { value: 'BYTES,…', help: 'bytes of one frame (200)' },
    frozen: { value: 'N', help: 'also 900 readers with so many beside them that take nothing, against 900 alone' },
    slow: { value: 'N', help: 'also 900 readers with so many beside them that take 50 KB/s, against 900 alone' },
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
  const available = given.compare === undefined ? allKinds : [...allKinds, ...comparedKinds(resolve(given.compare))]
  const { kinds, missing } = present(chooseKinds(available, given.kinds))
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
  requirePluginBuild()
  if (given.profile !== undefined) mkdirSync(given.profile, { recursive: true })
  for (const text of missing) process.stderr.write(`left out: ${text}\n`)

  const machine = describeMachine(packages)
  const progress = new Progress((workloads.length + (withSlicing ? 1 : 0)) * repeats)
  const rounds: Round[] = []
  const slicingRounds: SlicingRound[] = []
  // Also reached by Ctrl-C, after which nothing asynchronous happens any more.
  process.on('exit', publish)
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

  function publish (): void {
    if (rounds.length + slicingRounds.length === 0) return
    const measured = workloads.filter(({ name }) => rounds.some(({ workload }) => workload === name))
    const verdicts = judgeRounds(rounds, measured)
    const sections = [
      [formatMachine(machine)],
      ...measured.map((workload) => describeWorkload(rounds, workload, entriesOf(workload, kinds).map(({ name }) => name))),
      ...withSlicing ? [describeSlicing(slicingRounds, slicing)] : [],
      ...missing.map((text) => [`LEFT OUT: ${text}`]),
      verdicts.map(describeComparison)
    ]
    process.stdout.write(`${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`)
    if (given.json === undefined) return
    writeFileSync(given.json, `${JSON.stringify({
      benchmark: 'fan-out',
      finishedAt: new Date().toISOString(),
      machine,
      settings: { ...settings, repeats, slicing },
      workloads: measured,
      rounds,
      slicingRounds,
      verdicts,
      missing
    }, null, 2)}\n`)
    process.stdout.write(`raw figures: ${given.json}\n`)
  }
})

function present (chosen: readonly Kind[]): { kinds: Kind[], missing: string[] } {
  const reasons = chosen.map((kind) => kind.missing?.())
  return {
    kinds: chosen.filter((kind, index) => reasons[index] === undefined),
    missing: reasons.filter((reason) => reason !== undefined)
  }
}

function chooseWorkloads (
  given: Partial<Record<'clients' | 'burst' | 'size' | 'frozen' | 'slow' | 'slicing' | 'full', string>>
): readonly Workload[] {
  if (given.full !== undefined) return allWorkloads
  const sizes = counts('size', given.size ?? '200')
  const blocked = (['frozen', 'slow'] as const).flatMap((pace) => {
    const count = given[pace]
    if (count === undefined) return []
    return sizes.map((size) => workload(readersBesideBlocked, 1, size, { count: readCount(pace, count, 0), pace }))
  })
  if (given.clients === undefined && given.burst === undefined) {
    if (blocked.length > 0 || given.slicing !== undefined) return blocked
    if (given.size === undefined) return defaultWorkloads
  }
  const crossed = counts('clients', given.clients ?? '1000').flatMap((readers) =>
    counts('burst', given.burst ?? '1').flatMap((burst) => sizes.map((size) => workload(readers, burst, size))))
  return [...crossed, ...blocked]
}

function counts (name: string, list: string): number[] {
  return list.split(',').map((text) => readCount(name, text, 0))
}
