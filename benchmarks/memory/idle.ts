import { setTimeout as delay } from 'node:timers/promises'
import { memoryOfStreams, warmUpStreams, type StreamMemory } from '../harness/process/memory-reading.ts'
import { Comparison, type Figure } from '../harness/report/comparison.ts'
import type { Progress } from '../harness/report/progress.ts'
import { rotated } from '../harness/report/rotation.ts'
import { formatTable } from '../harness/report/table.ts'
import type { Verdict } from '../harness/report/verdict.ts'
import { withContestant } from './contestant.ts'
import { baseline, type Kind } from './kind.ts'

export interface IdleSettings {
  /** How many streams: each number is measured on its own. */
  readonly streams: readonly number[]
  readonly repeats: number
  readonly holdSeconds: number
  readonly kinds: readonly Kind[]
}

export interface IdleRound extends StreamMemory {
  readonly kind: string
  readonly repeat: number
  readonly streams: number
}

const openTimeoutMs = 120_000
/** Most memory of an idle stream, as a multiple of the bare server's. */
const goal = 1.75

const resident: Figure<IdleRound> = ({ residentKiB }) => residentKiB
const inUse: Figure<IdleRound> = ({ inUseKiB }) => inUseKiB

export async function measureIdle ({ streams, repeats, holdSeconds, kinds }: IdleSettings, progress: Progress): Promise<IdleRound[]> {
  const rounds: IdleRound[] = []
  for (const count of streams) {
    for (let repeat = 0; repeat < repeats; repeat += 1) {
      for (const kind of rotated(kinds, repeat)) {
        progress.begin(`${count} idle streams, ${kind.name}, repeat ${repeat + 1}`)
        rounds.push({ kind: kind.name, repeat, streams: count, ...await measure(kind, count, holdSeconds) })
        progress.end()
      }
    }
  }
  return rounds
}

async function measure (kind: Kind, streams: number, holdSeconds: number): Promise<StreamMemory> {
  return await withContestant(kind, { streams }, async ({ server, client, target }) => {
    const warmUp = warmUpStreams(streams)
    const open = async (count: number): Promise<void> => {
      await client.call('open', { ...target, count, timeoutMs: openTimeoutMs }, openTimeoutMs)
    }
    await open(warmUp)
    const before = await server.call('read', undefined)
    await open(streams)
    await delay(holdSeconds * 1000)
    const after = await server.call('read', undefined)
    const reached = await client.call('openCount', undefined)
    if (after.openStreams !== warmUp + streams || reached !== warmUp + streams) {
      throw new Error(`${kind.name}: of ${warmUp + streams} streams the server holds ${after.openStreams}, the client ${reached}`)
    }
    return memoryOfStreams(before, after, streams)
  })
}

export function describeIdle (rounds: readonly IdleRound[], { streams, repeats, kinds }: IdleSettings): string[] {
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

export function judgeIdle (rounds: readonly IdleRound[], { streams, kinds }: IdleSettings): Verdict[] {
  return streams.flatMap((count) => kinds.filter(({ server }) => server === 'tether').flatMap(({ name: kind }) =>
    comparisonOf(rounds, count).judge({ kind, what: `resident memory of one of ${count} idle streams`, figure: resident, direction: 'at most', limit: goal })))
}

function comparisonOf (rounds: readonly IdleRound[], streams: number): Comparison<IdleRound> {
  return new Comparison(rounds.filter((round) => round.streams === streams), baseline)
}
