import { Contestant, type BroadcastKind } from '../harness/broadcast/contestant.ts'
import { withChildren } from '../harness/process/child-process.ts'
import { memoryOfStreams, warmUpStreams, type StreamMemory } from '../harness/process/memory-reading.ts'
import { Comparison, type Figure } from '../harness/report/comparison.ts'
import type { Progress } from '../harness/report/progress.ts'
import { rotated } from '../harness/report/rotation.ts'
import { formatTable } from '../harness/report/table.ts'
import type { Verdict } from '../harness/report/verdict.ts'
import { baseline, kinds, partsOf } from './kind.ts'

export interface SentSettings {
  readonly streams: number
  /** Frames that each stream is sent. */
  readonly frames: number
  readonly repeats: number
  readonly kinds: readonly BroadcastKind[]
}

/** Memory of each of the same streams, before and after the frames. */
export interface SentRound {
  readonly kind: string
  readonly repeat: number
  readonly idle: StreamMemory
  readonly sent: StreamMemory
}

/** Most memory of a stream that was sent its frames, as a multiple of the same stream's when it was idle. */
const goal = 1.15
/** Frames of one tick: enough that the measurement does not consist of writes. */
const burst = 100
const limitSeconds = 900

/** One write for each socket in place of the bare loop, which needs one for each frame. */
export const sentKinds: readonly BroadcastKind[] = kinds.filter(({ server }) => server === 'tether').concat(
  kinds.filter(({ name }) => name === baseline).map((kind) => ({ ...kind, name: 'floor', server: 'floor' })))

export async function measureSent ({ streams, frames, repeats, kinds }: SentSettings, progress: Progress): Promise<SentRound[]> {
  const rounds: SentRound[] = []
  for (let repeat = 0; repeat < repeats; repeat += 1) {
    for (const kind of rotated(kinds, repeat)) {
      progress.begin(`${frames} frames to each of ${streams} streams, ${kind.name}, repeat ${repeat + 1}`)
      rounds.push({ kind: kind.name, repeat, ...await measure(kind, streams, Math.ceil(frames / burst)) })
      progress.end()
    }
  }
  return rounds
}

async function measure (kind: BroadcastKind, streams: number, ticks: number): Promise<Pick<SentRound, 'idle' | 'sent'>> {
  return await withChildren(async (children) => {
    const warmUp = warmUpStreams(streams)
    const contestant = await Contestant.start(children, partsOf(kind, streams + warmUp, { burst }))
    await contestant.open(warmUp)
    await contestant.run({ seconds: 1 })
    const before = await contestant.memory()
    await contestant.open(streams)
    const idle = await contestant.memory()
    const { ticks: done } = await contestant.run({ seconds: limitSeconds, ticks })
    if (done < ticks) throw new Error(`${kind.name}: only ${done} of ${ticks} bursts were sent in time`)
    const sent = await contestant.memory()
    return { idle: memoryOfStreams(before, idle, streams), sent: memoryOfStreams(before, sent, streams) }
  })
}

const grown = (figure: Figure<StreamMemory>): Figure<SentRound> => ({ idle, sent }) => figure(sent)! / figure(idle)!
const figures: ReadonlyArray<readonly [string, Figure<StreamMemory>]> = [
  ['resident', ({ residentKiB }) => residentKiB],
  ['in use', ({ inUseKiB }) => inUseKiB],
  ['heap', ({ heapKiB }) => heapKiB]
]

export function describeSent (rounds: readonly SentRound[], { streams, frames, repeats, kinds }: SentSettings): string[] {
  const comparison = new Comparison(rounds, '')
  return [`${streams} streams, idle and after ${frames} frames each in bursts of ${burst}, medians of ${repeats} repeats`, formatTable(kinds.map(({ name }) => name), [
    { title: 'KiB a stream', value: (name) => name },
    ...figures.flatMap(([title, figure]) => [
      comparison.median(`${title}, idle`, ({ idle }) => figure(idle), 2),
      comparison.median('sent', ({ sent }) => figure(sent), 2),
      comparison.median('× idle', grown(figure), 2),
      comparison.range(grown(figure), 2)
    ])
  ])]
}

export function judgeSent (rounds: readonly SentRound[], { kinds, frames }: SentSettings): Verdict[] {
  const comparison = new Comparison(rounds, '')
  return kinds.filter(({ server }) => server === 'tether').flatMap(({ name: kind }) => figures.filter(([what]) => what !== 'in use').flatMap(([what, figure]) =>
    comparison.judge({ kind, what: `${what} memory of a stream after ${frames} frames`, figure: grown(figure), unit: '× idle', direction: 'at most', limit: goal })))
}
