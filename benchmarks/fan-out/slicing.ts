import { Contestant } from '../harness/broadcast/contestant.ts'
import { withChildren } from '../harness/process/child-process.ts'
import { Comparison, type Figure } from '../harness/report/comparison.ts'
import type { Latency } from '../harness/report/latency.ts'
import { rotated } from '../harness/report/rotation.ts'
import { formatTable } from '../harness/report/table.ts'
import { counted, exact, floor, usualKinds } from './kind.ts'
import type { PosterCalls } from './poster.ts'

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
  /** Latency without broadcasts. */
  readonly quietPosts: Latency
  /** Latency during broadcasts. */
  readonly posts: Latency
  readonly loopDelay: Latency
  readonly delivery: Latency
}

const slicedKinds = usualKinds.filter(({ name }) => [floor, counted, exact].includes(name))
/** Time that may pass after the duration. */
const slackMs = 30_000

/** Measures requests that arrive during a broadcast to many. One kind at a time, since idle neighbours send heartbeats too. */
export async function measureSlicing (repeat: number, settings: SlicingSettings, onStep: (step: string) => void): Promise<SlicingRound[]> {
  const { streams, frameBytes, ticksPerSecond, postsPerSecond: perSecond, seconds, warmUpSeconds } = settings
  const rounds: SlicingRound[] = []
  for (const kind of rotated(slicedKinds, repeat)) {
    onStep(kind.name)
    rounds.push(await withChildren(async (children) => {
      const poster = await children.start<PosterCalls>(new URL('poster.ts', import.meta.url), { name: 'the process that posts' })
      const contestant = await Contestant.start(children, { kind, module: new URL('server.ts', import.meta.url), unit: 'frame', burst: 1, frameBytes, streams })
      await contestant.open(streams)
      const drive = async (duration: number): Promise<Latency> =>
        await poster.call('drive', { port: contestant.port, perSecond, seconds: duration }, duration * 1000 + slackMs)
      await Promise.all([contestant.run({ seconds: warmUpSeconds }), drive(warmUpSeconds)])
      const quietPosts = await drive(seconds)
      await contestant.watchLoop()
      const [posts] = await Promise.all([drive(seconds), contestant.run({ seconds, ticksPerSecond })])
      return { kind: kind.name, repeat, quietPosts, posts, loopDelay: await contestant.loopDelay(), delivery: await contestant.latency() }
    }))
  }
  return rounds
}

export function describeSlicing (rounds: readonly SlicingRound[], { streams, ticksPerSecond, postsPerSecond }: SlicingSettings): string[] {
  const comparison = new Comparison(rounds, floor)
  const columns = (title: string, figure: Figure<SlicingRound>) => [comparison.median(title, figure, 1), comparison.range(figure, 1)]
  return [
    `slicing: ${ticksPerSecond} broadcasts a second to ${streams} streams, ${postsPerSecond} POSTs a second; medians in ms`,
    formatTable(slicedKinds.map(({ name }) => name), [
      { title: 'kind', value: (name) => name },
      ...columns('POST p99, no broadcasts', ({ quietPosts }) => quietPosts.p99),
      ...columns('POST p50', ({ posts }) => posts.p50),
      ...columns('POST p99', ({ posts }) => posts.p99),
      ...columns('POST max', ({ posts }) => posts.maximum),
      ...columns('loop delay p99', ({ loopDelay }) => loopDelay.p99),
      ...columns('loop delay max', ({ loopDelay }) => loopDelay.maximum),
      ...columns('delivery p50', ({ delivery }) => delivery.p50),
      ...columns('delivery p99', ({ delivery }) => delivery.p99)
    ])
  ]
}
