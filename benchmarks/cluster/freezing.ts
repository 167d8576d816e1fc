import { Comparison } from '../harness/report/comparison.ts'
import { rotated } from '../harness/report/rotation.ts'
import { formatTable } from '../harness/report/table.ts'
import type { Verdict } from '../harness/report/verdict.ts'
import { withCluster } from './cluster.ts'

export interface FreezeSettings {
  readonly sessions: number
  /** Broadcasts that each session holds. */
  readonly held: number
}

export interface FreezeRound {
  readonly kind: string
  readonly repeat: number
  readonly freezeMs: number
  readonly thawMs: number
  /** All that a frozen session takes in Redis. */
  readonly bytesEach?: number
}

const engines = ['redis', 'local'] as const
const withinMs = 120_000

/** Sessions of one node go into the engine at its drain, and two others take them out. */
export async function measureFreezing (repeat: number, { sessions, held }: FreezeSettings, onStep: (step: string) => void): Promise<FreezeRound[]> {
  const rounds: FreezeRound[] = []
  for (const engine of rotated(engines, repeat)) {
    onStep(`freezing, ${engine}`)
    rounds.push(await withCluster(`freezing, ${engine}`, engine, 3, async ({ nodes, pages, redis }) => {
      const [old, ...others] = nodes as [typeof nodes[number], ...typeof nodes]
      const usedBytes = async () => redis === null ? 0 : Number(/used_memory:(\d+)/.exec(await redis.admin.info('memory'))![1])
      const before = await usedBytes()
      await pages.call('open', { ports: [old.port], count: sessions }, withinMs)
      await pages.call('reset', false)
      await old.process.call('pace', { perSecond: 20, seconds: held / 20, bytes: 200 }, withinMs)
      await pages.call('arrived', { frames: held, withinMs }, 2 * withinMs)
      const freezeMs = await old.process.call('drain', undefined, withinMs)
      const bytesEach = (await usedBytes() - before) / sessions
      const { ms: thawMs, verdicts } = await pages.call('thaw', others.map(({ port }) => port), withinMs)
      if (verdicts.resumed !== sessions) throw new Error(`freezing, ${engine}: the verdicts of ${sessions} sessions are ${JSON.stringify(verdicts)}`)
      const round = { kind: engine, repeat, freezeMs, thawMs }
      return redis === null ? round : { ...round, bytesEach }
    }))
  }
  return rounds
}

export function describeFreezing (rounds: readonly FreezeRound[], { sessions, held }: FreezeSettings): string[] {
  if (rounds.length === 0) return []
  const comparison = new Comparison(rounds, engines[0])
  return [
    `${sessions} sessions with streams, each holding ${held} broadcasts of 200 B: frozen by the drain of their node, and thawed by two others`,
    formatTable([...engines], [
      { title: 'engine', value: (name) => name },
      comparison.median('freeze ms', ({ freezeMs }) => freezeMs, 0),
      comparison.range(({ freezeMs }) => freezeMs, 0),
      comparison.median('thaw ms', ({ thawMs }) => thawMs, 0),
      comparison.range(({ thawMs }) => thawMs, 0),
      comparison.median('bytes each', ({ bytesEach }) => bytesEach, 0)
    ])
  ]
}

export function judgeFreezing (rounds: readonly FreezeRound[], { sessions }: FreezeSettings): Verdict[] {
  // The goals are for this number alone.
  if (sessions !== 10_000) return []
  const comparison = new Comparison(rounds, engines[0])
  const [kind] = engines
  return [
    ...comparison.judge({ kind, what: 'freeze', unit: 'ms', figure: ({ freezeMs }) => freezeMs, direction: 'at most', limit: 2_000 }),
    ...comparison.judge({ kind, what: 'thaw', unit: 'ms', figure: ({ thawMs }) => thawMs, direction: 'at most', limit: 3_000 }),
    ...comparison.judge({ kind, what: 'a frozen session', unit: 'bytes', figure: ({ bytesEach }) => bytesEach, direction: 'at most', limit: 1_200 })
  ]
}
