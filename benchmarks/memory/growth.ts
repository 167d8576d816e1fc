import { setTimeout as delay } from 'node:timers/promises'
import { defaults } from '../../schemas/defaults.ts'
import type { Progress } from '../harness/report/progress.ts'
import { quantile } from '../harness/report/statistics.ts'
import { formatTable } from '../harness/report/table.ts'
import { withContestant, type Outcome } from './contestant.ts'
import { loadedKinds, type Kind } from './kind.ts'
import type { MemorySample } from './server.ts'

export interface GrowthSettings {
  readonly streams: number
  /** Of these, take nothing after their first frame. */
  readonly frozen: number
  readonly bytesPerSecond: number
  readonly frameBytes: number
  readonly seconds: number
}

export interface Growth {
  readonly name: string
  /** Whether readers that take nothing keep their streams. */
  readonly keepsBlocked: boolean
  readonly samples: readonly MemorySample[]
}

interface Setting {
  readonly name: string
  readonly kind: Kind
  readonly keepsBlocked: boolean
}

const openTimeoutMs = 60_000
const sampleSeconds = 1
const callMs = 20_000
/** What a heap may stray by that does not grow. */
const strayBytes = 8 * 2 ** 20

/** With the defaults, and with all that a server could be told to keep for those that take nothing. */
const settingsOf = (): Setting[] => loadedKinds.flatMap((kind) => kind.server === 'bare'
  ? [{ name: kind.name, kind, keepsBlocked: false }]
  : [
      { name: `${kind.name}, defaults`, kind, keepsBlocked: false },
      { name: `${kind.name}, nobody disconnected`, kind, keepsBlocked: true }
    ])

export const growthSteps = settingsOf().length

/** A server under a steady broadcast that some of its readers do not read. */
export async function measureGrowth (settings: GrowthSettings, progress: Progress): Promise<Growth[]> {
  const all: Growth[] = []
  for (const setting of settingsOf()) {
    progress.begin(`growth for ${settings.seconds} s, ${setting.name}`)
    all.push(await measure(setting, settings))
    progress.end()
  }
  return all
}

async function measure ({ name, kind, keepsBlocked }: Setting, settings: GrowthSettings): Promise<Growth> {
  const { streams, frozen, seconds, frameBytes, bytesPerSecond } = settings
  return await withContestant(kind, { streams, keepsBlocked }, async ({ server, client, target }) => {
    const open = { ...target, timeoutMs: openTimeoutMs }
    await client.call('open', { ...open, count: frozen, frozen: true }, openTimeoutMs)
    await client.call('open', { ...open, count: streams - frozen }, openTimeoutMs)
    await server.call('broadcast', { frameBytes, bytesPerSecond })
    const samples: MemorySample[] = []
    while ((samples.at(-1)?.seconds ?? 0) < seconds) {
      await delay(sampleSeconds * 1000)
      samples.push(await server.call('sample', undefined, callMs))
    }
    const left = samples.at(-1)?.openStreams ?? 0
    if (left < streams - frozen) throw new Error(`${name}: only ${left} of ${streams - frozen} readers that read are still there`)
    return { name, keepsBlocked, samples }
  })
}

export function describeGrowth (all: readonly Growth[], settings: GrowthSettings): string[] {
  const { streams, frozen, bytesPerSecond, seconds } = settings
  const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1)
  const marks = [1 / 6, 1 / 3, 1 / 2, 2 / 3, 5 / 6, 1].map((part) => Math.round(part * seconds))
  const at = ({ samples }: Growth, mark: number): MemorySample | undefined => samples.find((sample) => sample.seconds >= mark) ?? samples.at(-1)
  return [
    `${streams} streams, ${frozen} of them frozen, ${bytesPerSecond / 1e6} MB a second to each: MiB in the heap and beside it, after a collection`,
    formatTable(all, [
      { title: 'kind', value: ({ name }) => name },
      ...marks.map((mark) => ({ title: `${mark} s`, value: (growth: Growth) => mebibytes(at(growth, mark)?.liveBytes ?? Number.NaN) })),
      { title: 'resident, end', value: ({ samples }) => mebibytes(samples.at(-1)?.residentBytes ?? Number.NaN) },
      { title: 'buffered, most', value: ({ samples }) => mebibytes(Math.max(...samples.map(({ bufferedBytes }) => bufferedBytes))) },
      { title: 'MB sent to each', value: ({ samples }) => ((samples.at(-1)?.broadcastBytes ?? Number.NaN) / 1e6).toFixed(0) },
      { title: 'streams left', value: ({ samples }) => String(samples.at(-1)?.openStreams) }
    ])
  ]
}

/** What has grown in the last two thirds of the time; and what the limits allow to be held. */
export function judgeGrowth (all: readonly Growth[], { seconds }: GrowthSettings): Outcome[] {
  return all.filter(({ name }) => name.startsWith('tether')).flatMap(({ name, samples }) => {
    const early = median(samples.filter((sample) => sample.seconds >= seconds / 3 && sample.seconds < seconds / 2))
    const late = median(samples.filter((sample) => sample.seconds >= seconds * 5 / 6))
    const grown = late - early
    const sent = (samples.at(-1)?.broadcastBytes ?? 0) / 2
    const { queueBytes, replayBytes } = defaults.stateful
    // All get the same, so what is held for them together is as much as for the one that is furthest behind.
    const allowed = queueBytes + replayBytes + defaults.fixed.broadcastBytes
    const most = Math.max(...samples.map(({ bufferedBytes }) => bufferedBytes))
    return [
      {
        name: `${name}: levels off`,
        met: grown <= strayBytes,
        text: `${(grown / 2 ** 20).toFixed(1)} MiB more in the end than after a third of the time, ${(sent / 2 ** 20).toFixed(0)} MiB were sent to each meanwhile`
      },
      { name: `${name}: within the limits`, met: most <= allowed, text: `${most} bytes held at most, the limits allow ${allowed}` }
    ]
  })
}

function median (samples: readonly MemorySample[]): number {
  return quantile(samples.map(({ liveBytes }) => liveBytes), 0.5)
}
