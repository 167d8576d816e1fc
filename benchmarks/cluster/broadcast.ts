import { rotated } from '../harness/report/rotation.ts'
import type { Comparison } from '../harness/report/comparison.ts'
import type { Latency } from '../harness/report/latency.ts'
import { formatTable } from '../harness/report/table.ts'
import type { Verdict } from '../harness/report/verdict.ts'
import { withCluster, type Cluster } from './cluster.ts'
import { baseline, type Kind } from './kind.ts'

export interface BroadcastSettings {
  readonly perSecond: number
  readonly seconds: number
  readonly frames: number
  readonly bytes: number
}

interface Flood {
  readonly framesPerSecond: number
  readonly publisherMicroseconds: number
}

export interface BroadcastRound {
  readonly kind: string
  readonly repeat: number
  readonly latency: Latency
  readonly tens: Flood
  readonly hundreds: Flood
  /** Of Redis, for a call that does nothing. */
  readonly roundTrip?: Latency
}

const withinMs = 60_000
const pings = 2_000
const warmUpFrames = 4_000

/** All kinds, one after the other with fresh processes: more of them at one time than cores would measure the scheduler. */
export async function measureBroadcasts (kinds: readonly Kind[], repeat: number, settings: BroadcastSettings, onStep: (step: string) => void): Promise<BroadcastRound[]> {
  const rounds: BroadcastRound[] = []
  for (const kind of rotated(kinds, repeat)) {
    onStep(kind.name)
    rounds.push(await withCluster(kind.name, kind.engine, kind.nodes, async (cluster) => await measure(kind, repeat, settings, cluster)))
  }
  return rounds
}

async function measure ({ name, engine }: Kind, repeat: number, { perSecond, seconds, frames, bytes }: BroadcastSettings, { nodes, pages }: Cluster): Promise<BroadcastRound> {
  const publisher = nodes[0]!.process
  // One page at each other node; of one node, a page there.
  const others = nodes.length === 1 ? nodes : nodes.slice(1)
  await pages.call('open', { ports: others.map(({ port }) => port), count: others.length })
  const flood = async (count: number, burst: number): Promise<Flood> => {
    await pages.call('reset', false)
    const sent = await publisher.call('flood', { frames: count, burst, bytes }, withinMs)
    const arrivedAt = await pages.call('arrived', { frames: sent.frames, withinMs }, 2 * withinMs)
    return { framesPerSecond: sent.frames / (arrivedAt - sent.startedAt) * 1e6, publisherMicroseconds: sent.processorMicroseconds / sent.frames }
  }
  const paced = async (duration: number): Promise<Latency> => {
    await pages.call('reset', true)
    const sent = await publisher.call('pace', { perSecond, seconds: duration, bytes }, withinMs)
    await pages.call('arrived', { frames: sent.frames, withinMs }, 2 * withinMs)
    return await pages.call('latency', undefined)
  }
  await flood(warmUpFrames, 10)
  await paced(Math.min(1, seconds))
  const latency = await paced(seconds)
  const tens = await flood(frames, 10)
  const hundreds = await flood(frames, 100)
  const round = { kind: name, repeat, latency, tens, hundreds }
  return engine === 'redis' ? { ...round, roundTrip: await publisher.call('roundTrip', pings) } : round
}

export function describeBroadcasts (comparison: Comparison<BroadcastRound>, names: readonly string[], { perSecond, frames, bytes }: BroadcastSettings): string[] {
  return [
    `Broadcasts of ${bytes} B at ${perSecond} a second, from the call at one node to the socket of a page at each other node`,
    formatTable(names, [
      { title: 'nodes', value: (name) => name },
      ...comparison.compared('p50 ms', ({ latency }) => latency.p50, 3),
      comparison.median('p99 ms', ({ latency }) => latency.p99, 2),
      comparison.range(({ latency }) => latency.p99, 2),
      comparison.median('PING p50 ms', ({ roundTrip }) => roundTrip?.p50, 3),
      comparison.median('PING p99 ms', ({ roundTrip }) => roundTrip?.p99, 2)
    ]),
    `${frames} broadcasts of ${bytes} B as fast as the log takes them, until the last one is at the socket`,
    formatTable(names, [
      { title: 'nodes', value: (name) => name },
      ...comparison.compared('tens: frames/s', ({ tens }) => tens.framesPerSecond, 0),
      comparison.median('publisher µs/frame', ({ tens }) => tens.publisherMicroseconds, 1),
      ...comparison.compared('hundreds: frames/s', ({ hundreds }) => hundreds.framesPerSecond, 0),
      comparison.median('publisher µs/frame', ({ hundreds }) => hundreds.publisherMicroseconds, 1)
    ])
  ]
}

export function judgeBroadcasts (comparison: Comparison<BroadcastRound>, rounds: readonly BroadcastRound[], kinds: readonly Kind[]): Verdict[] {
  /** What a kind adds to the baseline of its own repeat. */
  const added = ({ repeat, latency }: BroadcastRound): number | null => {
    const one = rounds.find((round) => round.kind === baseline && round.repeat === repeat)?.latency.p50
    return latency.p50 === null || one === null || one === undefined ? null : latency.p50 - one
  }
  return kinds.filter(({ engine }) => engine === 'redis').flatMap(({ name: kind }) => [
    ...comparison.judge({ kind, what: 'p50 beyond one node', unit: 'ms', figure: added, direction: 'at most', limit: 1 }),
    ...comparison.judge({ kind, what: 'broadcasts in hundreds', unit: 'frames/s', figure: ({ hundreds }) => hundreds.framesPerSecond, direction: 'at least', limit: 50_000 }),
    ...comparison.judge({ kind, what: 'publisher CPU in tens', unit: 'µs/frame', figure: ({ tens }) => tens.publisherMicroseconds, direction: 'at most', limit: 8 })
  ])
}
