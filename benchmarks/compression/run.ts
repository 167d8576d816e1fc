import { readCommandLine, readCount, readPositive, runBenchmark } from '../harness/command-line.ts'
import { requireDescriptors } from '../harness/descriptor-limit.ts'
import { describeMachine } from '../harness/machine.ts'
import { requirePluginBuild } from '../harness/plugin-build.ts'
import { Progress } from '../harness/progress.ts'
import { publish } from '../harness/report.ts'
import { rotated } from '../harness/rotation.ts'
import { summarise } from '../harness/statistics.ts'
import { formatTable, type Column } from '../harness/table.ts'
import { judge, type Goal } from '../harness/verdict.ts'
import { Contestant } from './contestant.ts'
import { control, each, identity, kinds as usualKinds, moreKinds, shared, type Kind } from './kind.ts'

interface Settings {
  readonly clients: number
  readonly burst: number
  readonly repeats: number
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly sliceSeconds: number
  /** 0 leaves memory out. */
  readonly streams: number
  readonly memoryRepeats: number
}

/** One kind in one repeat. */
interface Round {
  readonly kind: string
  readonly repeat: number
  readonly bytesPerDelivery: number
  readonly processorMicroseconds: number
  readonly readerMicroseconds: number
  readonly deliveriesPerSecond: number
  readonly ticks: number
  /** What the library says of its compression; null where there is none to say. */
  readonly stats: object | null
}

interface MemoryRound {
  readonly kind: string
  readonly repeat: number
  readonly residentKiB: number
  readonly inUseKiB: number
  readonly heapKiB: number
}

const descriptorsForItself = 256

await runBenchmark(async () => {
  const given = readCommandLine('bench:compression', {
    clients: { value: 'N', help: 'readers (1000)' },
    burst: { value: 'N', help: 'frames of one tick (10)' },
    repeats: { value: 'N', help: 'fresh servers of each kind (9)' },
    seconds: { value: 'N', help: 'measured time of each kind in each repeat (2)' },
    streams: { value: 'N', help: 'streams whose memory is measured; 0 leaves that out (5000)' },
    'memory-repeats': { value: 'N', help: 'fresh servers of each kind for that (3)' },
    more: { help: "also a compressor of each stream's own, and readers with exact ids" },
    quick: { help: '3 repeats of 1 second, without memory' },
    json: { value: 'FILE', help: 'write the raw figures there' }
  })
  const quick = given.quick !== undefined
  const kinds = given.more === undefined ? usualKinds : [...usualKinds, ...moreKinds]
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
  requirePluginBuild()

  const machine = describeMachine(['fastify', '@sinclair/typebox'])
  const memoryKinds = settings.streams === 0 ? [] : kinds
  const progress = new Progress(settings.repeats + settings.memoryRepeats * memoryKinds.length)
  const rounds: Round[] = []
  for (let repeat = 0; repeat < settings.repeats; repeat += 1) {
    rounds.push(...await measureRepeat(kinds, repeat, settings, (step) => progress.begin(`repeat ${repeat + 1}: ${step}`)))
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

  const figures = (kind: string, figure: keyof Round): number[] => rounds.filter((round) => round.kind === kind).map((round) => Number(round[figure]))
  const ratios = (kind: string, figure: keyof Round, against = identity): number[] => {
    const others = figures(against, figure)
    return figures(kind, figure).map((value, repeat) => value / (others[repeat] ?? Number.NaN))
  }
  const median = (title: string, figure: keyof Round, digits: number): Column<Kind> =>
    ({ title, value: ({ name }) => summarise(figures(name, figure)).median.toFixed(digits) })
  const quartiles = (figure: keyof Round): Column<Kind> => ({
    title: 'quartiles',
    value: ({ name }) => {
      const { lowerQuartile, upperQuartile } = summarise(ratios(name, figure))
      return `${lowerQuartile.toFixed(2)}–${upperQuartile.toFixed(2)}`
    }
  })
  const ratio = (title: string, figure: keyof Round, digits = 2): Column<Kind> =>
    ({ title, value: ({ name }) => summarise(ratios(name, figure)).median.toFixed(digits) })
  const table = formatTable(kinds, [
    { title: `bursts of ${settings.burst}, ${settings.clients} readers`, value: ({ name }) => name },
    median('bytes/delivery', 'bytesPerDelivery', 1),
    { title: 'fewer than identity', value: ({ name }) => `${summarise(ratios(name, 'bytesPerDelivery').map((value) => 1 / value)).median.toFixed(2)} ×` },
    median('CPU µs/delivery', 'processorMicroseconds', 2),
    ratio('× identity', 'processorMicroseconds'),
    quartiles('processorMicroseconds'),
    median('deliveries/s', 'deliveriesPerSecond', 0),
    median('readers CPU µs', 'readerMicroseconds', 2)
  ])
  const memory = (kind: string, figure: 'residentKiB' | 'inUseKiB' | 'heapKiB'): number[] =>
    memoryRounds.filter((round) => round.kind === kind).map((round) => round[figure])
  const memoryMedian = (title: string, figure: 'residentKiB' | 'inUseKiB' | 'heapKiB'): Column<Kind> =>
    ({ title, value: ({ name }) => summarise(memory(name, figure)).median.toFixed(2) })
  const memoryTable = formatTable(memoryKinds, [
    { title: `KiB a stream, ${settings.streams} streams`, value: ({ name }) => name },
    memoryMedian('resident', 'residentKiB'),
    { title: 'min–max', value: ({ name }) => `${Math.min(...memory(name, 'residentKiB')).toFixed(2)}–${Math.max(...memory(name, 'residentKiB')).toFixed(2)}` },
    memoryMedian('in use', 'inUseKiB'),
    memoryMedian('heap', 'heapKiB')
  ])
  const goals: Array<[Goal, number[]]> = [
    [{ name: `${shared}: bytes of identity to its own`, direction: 'at least', limit: 4 }, ratios(shared, 'bytesPerDelivery').map((value) => 1 / value)],
    [{ name: `${shared}: CPU per delivery against identity`, direction: 'at most', limit: 1.25 }, ratios(shared, 'processorMicroseconds')],
    [{ name: `${shared}: CPU per delivery against ${each}`, direction: 'at most', limit: 0.2 }, ratios(shared, 'processorMicroseconds', each)],
    [{ name: `${control}: CPU per delivery against identity, the noise`, direction: 'at most', limit: 1.1 }, ratios(control, 'processorMicroseconds')]
  ]
  const verdicts = goals.map(([goal, values]) => judge(goal, values))
  const extra = memory(shared, 'inUseKiB').map((value, repeat) => value - (memory(identity, 'inUseKiB')[repeat] ?? Number.NaN))
  const lines = [table, ...memoryKinds.length === 0
    ? []
    : ['', memoryTable, '', `${shared}: ${summarise(extra).median.toFixed(2)} KiB in use a stream more than identity (goal: at most 1)`]]
  publish({ benchmark: 'compression', machine, settings, rounds: [...rounds, ...memoryRounds], verdicts }, lines, given.json)
})

/** All kinds side by side, in turns of short slices, so that whatever else the machine does meets all of them alike. */
async function measureRepeat (kinds: readonly Kind[], repeat: number, settings: Settings, onStep: (step: string) => void): Promise<Round[]> {
  const { clients, burst, seconds, warmUpSeconds, sliceSeconds } = settings
  const contestants: Contestant[] = []
  try {
    for (const kind of rotated(kinds, repeat)) {
      onStep(`opening ${kind.name}`)
      const contestant = await Contestant.start(kind, clients)
      contestants.push(contestant)
      await contestant.open(clients)
    }
    onStep('warming up')
    await takeTurns(contestants, warmUpSeconds, sliceSeconds, burst, repeat)
    onStep('measuring')
    const slices = await takeTurns(contestants, seconds, sliceSeconds, burst, repeat)
    return await Promise.all(contestants.map(async (contestant, index) => {
      await contestant.decode(burst)
      const sum = (part: 'ticks' | 'seconds' | 'bytes' | 'processorMicroseconds' | 'readerMicroseconds'): number =>
        (slices[index] ?? []).reduce((total, slice) => total + slice[part], 0)
      const deliveries = sum('ticks') * burst * clients
      return {
        kind: contestant.kind.name,
        repeat,
        bytesPerDelivery: sum('bytes') / deliveries,
        processorMicroseconds: sum('processorMicroseconds') / deliveries,
        readerMicroseconds: sum('readerMicroseconds') / deliveries,
        deliveriesPerSecond: deliveries / sum('seconds'),
        ticks: sum('ticks'),
        stats: await contestant.stats()
      }
    }))
  } finally {
    await Promise.all(contestants.map(async (contestant) => await contestant.stop()))
  }
}

async function takeTurns (contestants: readonly Contestant[], seconds: number, sliceSeconds: number, burst: number, repeat: number) {
  const slices = contestants.map((): Array<Awaited<ReturnType<Contestant['run']>>> => [])
  const turns = Math.max(1, Math.round(seconds / sliceSeconds))
  for (let turn = 0; turn < turns; turn += 1) {
    for (const [index, contestant] of rotated([...contestants.entries()], turn + repeat)) {
      slices[index]?.push(await contestant.run(sliceSeconds, burst))
    }
  }
  return slices
}

/** They stay open, so that room left over from starting up is filled before the counting begins. */
function warmUpStreams (streams: number): number {
  return Math.ceil(streams / 10)
}

/** One server alone: what its streams take once each has got some bursts. */
async function measureMemory (kind: Kind, repeat: number, { streams, burst }: Settings): Promise<MemoryRound> {
  const contestant = await Contestant.start(kind, streams + warmUpStreams(streams))
  try {
    const settle = async () => {
      await contestant.run(1, burst)
      return await contestant.memory()
    }
    await contestant.open(warmUpStreams(streams))
    const before = await settle()
    await contestant.open(streams)
    const after = await settle()
    const kibibytes = (bytes: number): number => bytes / streams / 1024
    return {
      kind: kind.name,
      repeat,
      residentKiB: kibibytes(after.residentBytes - before.residentBytes),
      inUseKiB: kibibytes((after.residentBytes - after.idleHeapBytes) - (before.residentBytes - before.idleHeapBytes)),
      heapKiB: kibibytes(after.heapUsedBytes - before.heapUsedBytes)
    }
  } finally {
    await contestant.stop()
  }
}
