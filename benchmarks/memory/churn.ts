import { setTimeout as delay } from 'node:timers/promises'
import { Contestant, type BroadcastKind } from '../harness/broadcast/contestant.ts'
import type { StreamStats } from '../harness/broadcast/server.ts'
import { withChildren } from '../harness/process/child-process.ts'
import type { MemoryReading } from '../harness/process/memory-reading.ts'
import type { Progress } from '../harness/report/progress.ts'
import type { Verdict } from '../harness/report/verdict.ts'
import { streamClient } from '../harness/streams/event-streams.ts'
import type { StreamClientCalls } from '../harness/streams/stream-client.ts'
import { loadedKinds, partsOf } from './kind.ts'
import { describeTrails, judgeTrails, type Trail } from './trail.ts'

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
export async function measureChurn (connects: number, progress: Progress): Promise<Trail[]> {
  const all: Trail[] = []
  for (const kind of loadedKinds) all.push(await measure(kind, connects, progress))
  return all
}

async function measure (kind: BroadcastKind, connects: number, progress: Progress): Promise<Trail> {
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
    const readings = [{ count: 0, ...await pass(Math.min(warmUpConnects, connects)) }]
    for (let part = 1; part <= parts; part += 1) {
      progress.begin(`${connects} connects, ${name}, part ${part} of ${parts}`)
      readings.push({ count: part * connects / parts, ...await pass(Math.round(connects / parts)) })
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

export function describeChurn (trails: readonly Trail[]): string[] {
  return describeTrails('KiB of heap in use after each number of connects and disconnects, with all sessions ended', trails)
}

export function judgeChurn (trails: readonly Trail[]): Verdict[] {
  return judgeTrails(trails, 'connects', goalBytes)
}
