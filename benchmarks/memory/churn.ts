import type { Progress } from '../harness/report/progress.ts'
import { formatTable } from '../harness/report/table.ts'
import { withContestant, type Outcome } from './contestant.ts'
import { loadedKinds, type Kind } from './kind.ts'
import type { StreamsReading } from './server.ts'

export interface Churn {
  readonly name: string
  readonly readings: ReadonlyArray<StreamsReading & { readonly connects: number }>
}

const parts = 2
/** What the first connections make the engine keep is not of connections. */
const warmUpConnects = 5_000
const concurrency = 100
const callMs = 300_000
/** A session outlives its stream by the time that it may come back. */
const emptyMs = 60_000
/** Less than that for each connect is none that stays. */
const goalBytes = 10

export const churnSteps = loadedKinds.length * parts

/** Streams that come and go: half of them end their connection, half of them break it. */
export async function measureChurn (connects: number, progress: Progress): Promise<Churn[]> {
  const all: Churn[] = []
  for (const kind of loadedKinds) all.push(await measure(kind, connects, progress))
  return all
}

async function measure (kind: Kind, connects: number, progress: Progress): Promise<Churn> {
  const { name } = kind
  return await withContestant(kind, { streams: concurrency }, async ({ server, client, target }) => {
    const pass = async (count: number): Promise<StreamsReading> => {
      await client.call('pass', { ...target, count, concurrency, timeoutMs: callMs }, callMs)
      await server.call('empty', emptyMs, emptyMs + 5_000)
      return await server.call('read', undefined)
    }
    const readings = [{ connects: 0, ...await pass(Math.min(warmUpConnects, connects)) }]
    for (let part = 1; part <= parts; part += 1) {
      progress.begin(`${connects} connects, ${name}, part ${part} of ${parts}`)
      readings.push({ connects: part * connects / parts, ...await pass(Math.round(connects / parts)) })
      progress.end()
    }
    return { name, readings }
  })
}

export function describeChurn (all: readonly Churn[]): string[] {
  const [first] = all
  if (first === undefined) return []
  const divided = (bytes: number | undefined, unit: number): string => ((bytes ?? Number.NaN) / unit).toFixed(0)
  return [
    'KiB of heap in use after so many connects and disconnects, when all sessions have ended',
    formatTable(all, [
      { title: 'kind', value: ({ name }) => name },
      ...first.readings.map(({ connects }, index) => ({
        title: String(connects), value: ({ readings }: Churn) => divided(readings[index]?.heapUsedBytes, 1024)
      })),
      { title: 'resident MiB, first', value: ({ readings }) => divided(readings[0]?.residentBytes, 2 ** 20) },
      { title: 'last', value: ({ readings }) => divided(readings.at(-1)?.residentBytes, 2 ** 20) }
    ])
  ]
}

export function judgeChurn (all: readonly Churn[]): Outcome[] {
  return all.filter(({ name }) => name.startsWith('tether')).map(({ name, readings }) => {
    const grown = (readings.at(-1)?.heapUsedBytes ?? Number.NaN) - (readings[0]?.heapUsedBytes ?? Number.NaN)
    const connects = readings.at(-1)?.connects ?? Number.NaN
    return {
      name: `${name}: the heap is where it was`,
      met: grown / connects <= goalBytes,
      text: `${(grown / connects).toFixed(2)} bytes more for each of ${connects} connects`
    }
  })
}
