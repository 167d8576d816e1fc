import { setTimeout as delay } from 'node:timers/promises'
import { defaults } from '../../schemas/defaults.ts'
import { Contestant, type BroadcastKind } from '../harness/broadcast/contestant.ts'
import type { MemorySample, StreamStats } from '../harness/broadcast/server.ts'
import { withChildren } from '../harness/process/child-process.ts'
import type { Progress } from '../harness/report/progress.ts'
import { quantile } from '../harness/report/statistics.ts'
import { formatTable } from '../harness/report/table.ts'
import { judge, type Verdict } from '../harness/report/verdict.ts'
import { loadedKinds, partsOf } from './kind.ts'

export interface GrowthSettings {
  readonly streams: number
  /** Number of these streams that take nothing after their first frame. */
  readonly frozen: number
  readonly bytesPerSecond: number
  readonly frameBytes: number
  readonly seconds: number
}

/** Time since the first broadcast. */
interface Sample extends MemorySample, StreamStats {
  readonly seconds: number
}

export interface Growth {
  readonly name: string
  /** Bytes to each stream. */
  readonly sentBytes: number
  readonly samples: readonly Sample[]
}

const sampleSeconds = 1
/** Most that a heap without growth may vary. */
const strayMebibytes = 8

/** Kinds with the defaults, and with options that keep the most for readers that take nothing. */
const grownKinds = loadedKinds.flatMap((kind): BroadcastKind[] => kind.server === 'bare'
  ? [kind]
  : [
      { ...kind, name: `${kind.name}, defaults` },
      { ...kind, name: `${kind.name}, nobody disconnected`, server: 'tether keeping' }
    ])

export const growthSteps = grownKinds.length

/** Measures a server under a steady broadcast that some of its readers do not read. */
export async function measureGrowth (settings: GrowthSettings, progress: Progress): Promise<Growth[]> {
  const all: Growth[] = []
  for (const kind of grownKinds) {
    progress.begin(`growth for ${settings.seconds} s, ${kind.name}`)
    all.push(await measure(kind, settings))
    progress.end()
  }
  return all
}

async function measure (kind: BroadcastKind, { streams, frozen, seconds, frameBytes, bytesPerSecond }: GrowthSettings): Promise<Growth> {
  return await withChildren(async (children) => {
    const contestant = await Contestant.start(children, partsOf(kind, streams, { frameBytes }))
    await contestant.openBlocked(frozen, 'frozen')
    await contestant.open(streams - frozen)
    const samples: Sample[] = []
    const startedAt = performance.now()
    const watch = async (): Promise<void> => {
      while ((samples.at(-1)?.seconds ?? 0) < seconds) {
        await delay(sampleSeconds * 1000)
        samples.push({ seconds: (performance.now() - startedAt) / 1000, ...await contestant.sample(), ...await contestant.stats() as StreamStats })
      }
    }
    const [{ ticks }] = await Promise.all([contestant.run({ seconds, ticksPerSecond: bytesPerSecond / frameBytes }), watch()])
    return { name: kind.name, sentBytes: ticks * frameBytes, samples }
  })
}

export function describeGrowth (all: readonly Growth[], settings: GrowthSettings): string[] {
  const { streams, frozen, bytesPerSecond, seconds } = settings
  const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1)
  const marks = [1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6, 1].map((part) => Math.round(part * seconds))
  const at = ({ samples }: Growth, mark: number): Sample | undefined => samples.find((sample) => sample.seconds >= mark) ?? samples.at(-1)
  return [
    `${streams} streams, ${frozen} of them frozen, ${bytesPerSecond / 1e6} MB a second to each: MiB in the heap and beside it, after a collection`,
    formatTable(all, [
      { title: 'kind', value: ({ name }) => name },
      ...marks.map((mark) => ({ title: `${mark} s`, value: (growth: Growth) => mebibytes(at(growth, mark)?.liveBytes ?? Number.NaN) })),
      { title: 'resident, end', value: ({ samples }) => mebibytes(samples.at(-1)?.residentBytes ?? Number.NaN) },
      { title: 'buffered, most', value: ({ samples }) => mebibytes(Math.max(...samples.map(({ bufferedBytes }) => bufferedBytes))) },
      { title: 'MB sent to each', value: ({ sentBytes }) => (sentBytes / 1e6).toFixed(0) },
      { title: 'streams left', value: ({ samples }) => String(samples.at(-1)?.connected) }
    ])
  ]
}

/** Judges the growth in the last two thirds of the time, and the bytes held within the limits. */
export function judgeGrowth (all: readonly Growth[], { seconds }: GrowthSettings): Verdict[] {
  return all.filter(({ name }) => name.startsWith('tether')).flatMap(({ name, samples }) => {
    const early = median(samples.filter((sample) => sample.seconds >= seconds / 3 && sample.seconds < seconds / 2))
    const late = median(samples.filter((sample) => sample.seconds >= seconds * 5 / 6))
    const { queueBytes, replayBytes } = defaults.stateful
    // All readers get the same, so the bytes held for all are those of the slowest reader.
    const allowed = queueBytes + replayBytes + defaults.fixed.broadcastBytes
    const most = Math.max(...samples.map(({ bufferedBytes }) => bufferedBytes))
    return [
      judge({ name: `${name}: growth from a third of the time to the end`, direction: 'at most', limit: strayMebibytes, unit: 'MiB' }, [(late - early) / 2 ** 20]),
      judge({ name: `${name}: most bytes held, the limits allow ${allowed}`, direction: 'at most', limit: 1, unit: '× the limits' }, [most / allowed])
    ]
  })
}

function median (samples: readonly Sample[]): number {
  return quantile(samples.map(({ liveBytes }) => liveBytes), 0.5)
}
