import { setTimeout as delay } from 'node:timers/promises'
import type { BroadcastKind } from '../harness/broadcast/contestant.ts'
import { measureStreamMemory, type MemoryRound } from '../harness/broadcast/stream-memory.ts'
import { Comparison, type Figure } from '../harness/report/comparison.ts'
import type { Progress } from '../harness/report/progress.ts'
import { rotated } from '../harness/report/rotation.ts'
import { formatTable } from '../harness/report/table.ts'
import type { Verdict } from '../harness/report/verdict.ts'
import { baseline, partsOf } from './kind.ts'

export interface IdleSettings {
  /** Numbers of streams; each is measured separately. */
  readonly streams: readonly number[]
  readonly repeats: number
  readonly holdSeconds: number
  readonly kinds: readonly BroadcastKind[]
}

/** Most memory of an idle stream, as a multiple of the bare server's. */
const goal = 1.75

const resident: Figure<MemoryRound> = ({ residentKiB }) => residentKiB
const inUse: Figure<MemoryRound> = ({ inUseKiB }) => inUseKiB

export async function measureIdle ({ streams, repeats, holdSeconds, kinds }: IdleSettings, progress: Progress): Promise<MemoryRound[]> {
  const rounds: MemoryRound[] = []
  for (const count of streams) {
    for (let repeat = 0; repeat < repeats; repeat += 1) {
      for (const kind of rotated(kinds, repeat)) {
        progress.begin(`${count} idle streams, ${kind.name}, repeat ${repeat + 1}`)
        rounds.push(await measureStreamMemory(partsOf(kind, count), repeat, async () => await delay(holdSeconds * 1000)))
        progress.end()
      }
    }
  }
  return rounds
}

export function describeIdle (rounds: readonly MemoryRound[], { streams, repeats, kinds }: IdleSettings): string[] {
  return streams.flatMap((count) => {
    const comparison = comparisonOf(rounds, count)
    return [`${count} idle streams, medians of ${repeats} repeats`, formatTable(kinds.map(({ name }) => name), [
      { title: 'KiB per idle stream', value: (name) => name },
      ...comparison.compared('resident', resident, 2),
      ...comparison.compared('in use', inUse, 2),
      comparison.median('heap', ({ heapKiB }) => heapKiB, 2)
    ])]
  })
}

export function judgeIdle (rounds: readonly MemoryRound[], { streams, kinds }: IdleSettings): Verdict[] {
  return streams.flatMap((count) => kinds.filter(({ server }) => server === 'tether').flatMap(({ name: kind }) =>
    comparisonOf(rounds, count).judge({ kind, what: `resident memory of one of ${count} idle streams`, figure: resident, direction: 'at most', limit: goal })))
}

function comparisonOf (rounds: readonly MemoryRound[], streams: number): Comparison<MemoryRound> {
  return new Comparison(rounds.filter((round) => round.streams === streams), baseline)
}
