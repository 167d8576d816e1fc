import { setTimeout as delay } from 'node:timers/promises'
import { Contestant, type BroadcastKind } from '../harness/broadcast/contestant.ts'
import type { StreamStats } from '../harness/broadcast/server.ts'
import { withChildren } from '../harness/process/child-process.ts'
import type { MemoryReading } from '../harness/process/memory-reading.ts'
import type { Progress } from '../harness/report/progress.ts'
import { formatTable } from '../harness/report/table.ts'
import { streamClient } from '../harness/streams/event-streams.ts'
import type { StreamClientCalls } from '../harness/streams/stream-client.ts'
import { loadedKinds, partsOf, type Outcome } from './kind.ts'

export interface Churn {
  readonly name: string
  readonly readings: ReadonlyArray<MemoryReading & { readonly connects: number }>
}

const parts = 2
/** Connections before the measurement: the memory that the engine keeps after the first ones does not belong to connections. */
const warmUpConnects = 5_000
const concurrency = 100
const callMs = 300_000
/** A session outlives its stream by the time in which its client may return. */
const emptyMs = 60_000
const emptyLookMs = 200
/** Most bytes for each connect that do not count as a leak. */
const goalBytes = 10

export const churnSteps = loadedKinds.length * parts

/** Opens and closes streams, half of them with an end, half with a reset. */
export async function measureChurn (connects: number, progress: Progress): Promise<Churn[]> {
  const all: Churn[] = []
  for (const kind of loadedKinds) all.push(await measure(kind, connects, progress))
  return all
}

async function measure (kind: BroadcastKind, connects: number, progress: Progress): Promise<Churn> {
  const { name } = kind
  return await withChildren(async (children) => {
    const contestant = await Contestant.start(children, partsOf(kind, concurrency))
    const client = await children.start<StreamClientCalls>(streamClient, { name: 'the client' })
    const target = { port: contestant.port, headers: kind.headers, concurrency, timeoutMs: callMs }
    const pass = async (count: number): Promise<MemoryReading> => {
      await client.call('pass', { ...target, count }, callMs)
      await waitUntilEmpty(contestant)
      return await contestant.memory()
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

/** Waits until nothing is left of closed streams. */
async function waitUntilEmpty (contestant: Contestant): Promise<void> {
  const end = Date.now() + emptyMs
  while ((await contestant.stats() as StreamStats).sessions > 0) {
    if (Date.now() > end) throw new Error(`${contestant.name}: something is left of streams that are gone`)
    await delay(emptyLookMs)
  }
}

export function describeChurn (all: readonly Churn[]): string[] {
  const [first] = all
  if (first === undefined) return []
  const divided = (bytes: number | undefined, unit: number): string => ((bytes ?? Number.NaN) / unit).toFixed(0)
  return [
    'KiB of heap in use after each number of connects and disconnects, with all sessions ended',
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
