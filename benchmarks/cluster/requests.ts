import { rotated } from '../harness/report/rotation.ts'
import { Comparison } from '../harness/report/comparison.ts'
import { quantile } from '../harness/report/statistics.ts'
import { formatTable } from '../harness/report/table.ts'
import type { Verdict } from '../harness/report/verdict.ts'
import { withCluster } from './cluster.ts'

export interface RequestSettings {
  readonly posts: number
  /** Pages whose streams are opened again. */
  readonly streams: number
}

/** Milliseconds. */
export interface RequestRound {
  readonly kind: string
  readonly repeat: number
  readonly p50: number
  readonly p99: number
  readonly addedP50: number
}

const engines = ['redis', 'local'] as const
const warmUp = 100
const withinMs = 120_000

const nameOf = (what: 'POST' | 'GET', where: 'owner' | 'other node', engine: string) => `${what} at the ${where}, ${engine}`
export const requestNames = engines.flatMap((engine) => (['POST', 'GET'] as const).flatMap((what) => (['owner', 'other node'] as const).map((where) => nameOf(what, where, engine))))

/** The owner and the other node take turns, request by request. */
export async function measureRequests (repeat: number, { posts, streams }: RequestSettings, onStep: (step: string) => void): Promise<RequestRound[]> {
  const rounds: RequestRound[] = []
  for (const engine of rotated(engines, repeat)) {
    onStep(`requests, ${engine}`)
    await withCluster(`requests, ${engine}`, engine, 2, async ({ nodes, pages }) => {
      const [owner, other] = nodes.map(({ port }) => port) as [number, number]
      await pages.call('open', { ports: [owner], count: 1 })
      await pages.call('post', { ports: [owner, other], count: warmUp, seq: 1 }, withinMs)
      const [postOwner, postOther] = await pages.call('post', { ports: [owner, other], count: posts, seq: 1 + 2 * warmUp }, withinMs) as [number[], number[]]
      await pages.call('close', undefined)
      await pages.call('open', { ports: [owner], count: streams })
      // Each page goes over and comes back once before, and is then measured on its way.
      await pages.call('reopen', { owner, other }, withinMs)
      const { atOwner, atOther } = await pages.call('reopen', { owner: other, other: owner }, withinMs)
      const add = (what: 'POST' | 'GET', owners: number[], others: number[]) => {
        const base = quantile(owners, 0.5)
        for (const [where, took] of [['owner', owners], ['other node', others]] as const) {
          const p50 = quantile(took, 0.5)
          rounds.push({ kind: nameOf(what, where, engine), repeat, p50: p50 / 1_000, p99: quantile(took, 0.99) / 1_000, addedP50: (p50 - base) / 1_000 })
        }
      }
      add('POST', postOwner, postOther)
      add('GET', atOwner, atOther)
    })
  }
  return rounds
}

export function describeRequests (rounds: readonly RequestRound[], { posts, streams }: RequestSettings): string[] {
  if (rounds.length === 0) return []
  const comparison = new Comparison(rounds, requestNames[0]!)
  return [
    `${posts} POSTs of an event, and ${streams} GETs of a stream until its hello, one after the other, at the node that has the session and at another`,
    formatTable(requestNames, [
      { title: 'request', value: (name) => name },
      comparison.median('p50 ms', ({ p50 }) => p50, 2),
      comparison.range(({ p50 }) => p50, 2),
      comparison.median('beyond the owner, p50 ms', ({ addedP50 }) => addedP50, 2),
      comparison.median('p99 ms', ({ p99 }) => p99, 2)
    ])
  ]
}

export function judgeRequests (rounds: readonly RequestRound[]): Verdict[] {
  const comparison = new Comparison(rounds, requestNames[0]!)
  const figure = ({ addedP50 }: RequestRound) => addedP50
  return [
    ...comparison.judge({ kind: nameOf('POST', 'other node', 'redis'), what: 'p50 beyond the owner', unit: 'ms', figure, direction: 'at most', limit: 2 }),
    ...comparison.judge({ kind: nameOf('GET', 'other node', 'redis'), what: 'p50 beyond the owner', unit: 'ms', figure, direction: 'at most', limit: 5 })
  ]
}
