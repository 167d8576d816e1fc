import { Contestant, type BroadcastKind } from '../harness/broadcast/contestant.ts'
import { movesPerTick } from '../harness/broadcast/shapes.ts'
import { withChildren } from '../harness/process/child-process.ts'
import type { Progress } from '../harness/report/progress.ts'
import type { Verdict } from '../harness/report/verdict.ts'
import { comparableKinds, partsOf } from './kind.ts'
import { describeTrails, judgeTrails, type Trail } from './trail.ts'

const streams = 200
const ticksPerSecond = 100
const parts = 2
/** Seconds before the measurement: what the engine keeps after the first moves does not belong to moves. */
const warmUpSeconds = 5
/** Most bytes for each move that do not count as a leak. */
const goalBytes = 2

export const movesSteps = comparableKinds.length * parts

/** Sessions leave groups and join others, 10,000 times a second each, beside broadcasts to all. */
export async function measureMoves (seconds: number, progress: Progress): Promise<Trail[]> {
  const all: Trail[] = []
  for (const kind of comparableKinds) all.push(await measure(kind, seconds, progress))
  return all
}

async function measure (kind: BroadcastKind, seconds: number, progress: Progress): Promise<Trail> {
  const { name } = kind
  return await withChildren(async (children) => {
    const contestant = await Contestant.start(children, partsOf(kind, streams, { shape: 'moving' }))
    await contestant.open(streams)
    await contestant.run({ seconds: warmUpSeconds, ticksPerSecond })
    const readings = [{ count: 0, ...await contestant.memory() }]
    let count = 0
    for (let part = 1; part <= parts; part += 1) {
      progress.begin(`moves between groups, ${name}, part ${part} of ${parts}`)
      count += (await contestant.run({ seconds: seconds / parts, ticksPerSecond })).ticks * movesPerTick
      readings.push({ count, ...await contestant.memory() })
      progress.end()
    }
    return { name, readings }
  })
}

export function describeMoves (trails: readonly Trail[]): string[] {
  return describeTrails(`KiB of heap in use after each number of moves, ${movesPerTick * ticksPerSecond} wanted a second, of ${streams} sessions`, trails)
}

export function judgeMoves (trails: readonly Trail[]): Verdict[] {
  return judgeTrails(trails, 'moves', goalBytes)
}
