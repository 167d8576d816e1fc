import { withChild } from '../harness/child-process.ts'
import { summarise } from '../harness/statistics.ts'
import { formatTable, type Column } from '../harness/table.ts'
import { Contestant } from './contestant.ts'
import { baseline, counted, type Kind } from './kind.ts'
import { rotated } from '../harness/rotation.ts'
import type { PostCalls, PostReading } from './posts.ts'
import type { LatencyReading } from './readers.ts'
import type { LoopDelay } from './server.ts'
import { unslicedLibrary } from './unsliced-library.ts'
import { workload } from './workload.ts'

export interface SlicingSettings {
  readonly streams: number
  readonly frameBytes: number
  readonly ticksPerSecond: number
  readonly postsPerSecond: number
  readonly seconds: number
  readonly warmUpSeconds: number
}

export interface SlicingRound {
  readonly kind: string
  readonly repeat: number
  /** While nothing is broadcast. */
  readonly quietPosts: PostReading
  /** While it is. */
  readonly posts: PostReading
  readonly loopDelayMs: LoopDelay
  readonly latencyMs: LatencyReading
}

const unsliced = 'tether unsliced'
const names = [baseline, unsliced, counted]

/** What may be late beyond the duration. */
const slackMs = 30_000

/** What a broadcast to many does to requests that arrive meanwhile. One kind at a time: idle neighbours beat their hearts too. */
export async function measureSlicing (
  repeat: number,
  settings: SlicingSettings,
  onStep: (step: string) => void
): Promise<SlicingRound[]> {
  const kinds: readonly Kind[] = [
    { name: baseline, server: 'bare', fills: true },
    { name: unsliced, server: counted, library: unslicedLibrary(), fills: true },
    { name: counted, server: counted, fills: true }
  ]
  const rounds: SlicingRound[] = []
  for (const kind of rotated(kinds, repeat)) {
    onStep(kind.name)
    rounds.push(await measureKind(kind, repeat, settings))
  }
  return rounds
}

async function measureKind (kind: Kind, repeat: number, settings: SlicingSettings): Promise<SlicingRound> {
  const { streams, frameBytes, ticksPerSecond, postsPerSecond: perSecond, seconds, warmUpSeconds } = settings
  return await withChild<PostCalls, SlicingRound>(new URL('posts.ts', import.meta.url), { name: 'the process that posts' }, async (posts) => {
    const contestant = await Contestant.start({ name: kind.name, kind }, workload(streams, 1, frameBytes))
    try {
      const { port, postPath } = contestant.address
      const drive = async (duration: number): Promise<PostReading> =>
        await posts.call('drive', { port, path: postPath, perSecond, seconds: duration }, duration * 1000 + slackMs)
      await Promise.all([contestant.run({ seconds: warmUpSeconds }), drive(warmUpSeconds)])
      const quietPosts = await drive(seconds)
      await contestant.watchLoop()
      const [driven] = await Promise.all([drive(seconds), contestant.run({ seconds, ticksPerSecond })])
      return {
        kind: kind.name,
        repeat,
        quietPosts,
        posts: driven,
        loopDelayMs: await contestant.loopDelay(),
        latencyMs: await contestant.latency()
      }
    } finally {
      await contestant.stop()
    }
  })
}

export function describeSlicing (rounds: readonly SlicingRound[], settings: SlicingSettings): string[] {
  const column = (title: string, figure: (round: SlicingRound) => number): Column<string> => ({
    title,
    value: (name) => {
      const { median, lowerQuartile, upperQuartile } = summarise(rounds.filter(({ kind }) => kind === name).map(figure))
      return `${median.toFixed(1)} (${lowerQuartile.toFixed(1)}–${upperQuartile.toFixed(1)})`
    }
  })
  const { streams, ticksPerSecond, postsPerSecond } = settings
  return [
    `slicing: ${ticksPerSecond} broadcasts a second to ${streams} streams, ${postsPerSecond} POSTs a second; medians and quartiles in ms`,
    '',
    formatTable(names, [
      { title: 'kind', value: (name) => name },
      column('POST p99, no broadcasts', ({ quietPosts }) => quietPosts.p99),
      column('POST p50', ({ posts }) => posts.p50),
      column('POST p99', ({ posts }) => posts.p99),
      column('POST max', ({ posts }) => posts.maximum),
      column('loop delay p99', ({ loopDelayMs }) => loopDelayMs.p99),
      column('loop delay max', ({ loopDelayMs }) => loopDelayMs.maximum),
      column('delivery p99', ({ latencyMs }) => latencyMs.p99)
    ])
  ]
}
