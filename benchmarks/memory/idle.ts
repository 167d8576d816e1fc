import { setTimeout as delay } from 'node:timers/promises'
import { withChild } from '../harness/child-process.ts'
import type { Progress } from '../harness/progress.ts'
import { rotated } from '../harness/rotation.ts'
import { summarise } from '../harness/statistics.ts'
import type { StreamClientCalls } from '../harness/stream-client.ts'
import { formatTable } from '../harness/table.ts'
import { judge, type Verdict } from '../harness/verdict.ts'
import { baseline, type Kind } from './kind.ts'
import type { StreamsReading, ServerCalls } from './server.ts'

export interface IdleSettings {
  /** How many streams: each number is measured on its own. */
  readonly streams: readonly number[]
  readonly repeats: number
  readonly holdSeconds: number
  readonly kinds: readonly Kind[]
}

export interface IdleRound {
  readonly kind: string
  readonly streams: number
  readonly repeat: number
  readonly before: StreamsReading
  readonly after: StreamsReading
  /** Per stream. */
  readonly residentKiB: number
  /** Per stream, without what the heap holds but does not use. */
  readonly inUseKiB: number
  /** Per stream, the JavaScript objects alone. */
  readonly heapKiB: number
}

type Figure = 'residentKiB' | 'inUseKiB' | 'heapKiB'

const openTimeoutMs = 120_000

/** They stay open, so that room left over from starting up is filled before the counting begins. */
export function warmUpStreams (streams: number): number {
  return Math.ceil(streams / 10)
}

export async function measureIdle ({ streams, repeats, holdSeconds, kinds }: IdleSettings, progress: Progress): Promise<IdleRound[]> {
  const rounds: IdleRound[] = []
  for (const count of streams) {
    for (let repeat = 0; repeat < repeats; repeat += 1) {
      for (const kind of rotated(kinds, repeat)) {
        progress.begin(`${count} idle streams, ${kind.name}, repeat ${repeat + 1}`)
        rounds.push(await measure(kind, repeat, count, holdSeconds))
        progress.end()
      }
    }
  }
  return rounds
}

function figuresOf (rounds: readonly IdleRound[], streams: number, name: string, figure: Figure): number[] {
  return rounds.filter((round) => round.kind === name && round.streams === streams).map((round) => round[figure])
}

/** Per repeat, against the bare server of the same repeat, so that a drift of the machine cancels out. */
function ratiosOf (rounds: readonly IdleRound[], streams: number, name: string, figure: Figure): number[] {
  const bare = figuresOf(rounds, streams, baseline, figure)
  return figuresOf(rounds, streams, name, figure).map((value, repeat) => value / (bare[repeat] ?? Number.NaN))
}

export function describeIdle (rounds: readonly IdleRound[], { streams, repeats, kinds }: IdleSettings): string[] {
  const median = (values: readonly number[]): string => summarise(values).median.toFixed(2)
  const range = (values: readonly number[]): string => `${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)}`
  return streams.flatMap((count) => [`${count} idle streams, medians of ${repeats} repeats`, '', formatTable(kinds, [
    { title: 'KiB per idle stream', value: ({ name }) => name },
    { title: 'resident', value: ({ name }) => median(figuresOf(rounds, count, name, 'residentKiB')) },
    { title: 'min–max', value: ({ name }) => range(figuresOf(rounds, count, name, 'residentKiB')) },
    { title: '× bare', value: ({ name }) => median(ratiosOf(rounds, count, name, 'residentKiB')) },
    { title: 'in use', value: ({ name }) => median(figuresOf(rounds, count, name, 'inUseKiB')) },
    { title: 'min–max', value: ({ name }) => range(figuresOf(rounds, count, name, 'inUseKiB')) },
    { title: '× bare', value: ({ name }) => median(ratiosOf(rounds, count, name, 'inUseKiB')) },
    { title: 'heap', value: ({ name }) => median(figuresOf(rounds, count, name, 'heapKiB')) }
  ]), ''])
}

export function judgeIdle (rounds: readonly IdleRound[], { streams, kinds }: IdleSettings): Verdict[] {
  return streams.flatMap((count) => kinds.flatMap(({ name, goal }) => goal === undefined
    ? []
    : [judge({ name: `${count} streams: ${name}: resident memory of an idle stream`, direction: 'at most', limit: goal },
        ratiosOf(rounds, count, name, 'residentKiB'))]))
}

async function measure (kind: Kind, repeat: number, streams: number, holdSeconds: number): Promise<IdleRound> {
  const serverModule = new URL('server.ts', import.meta.url)
  const clientModule = new URL('../harness/stream-client.ts', import.meta.url)
  const serverOptions = { name: `the server of kind '${kind.name}'`, nodeArguments: ['--expose-gc'] }
  return await withChild<ServerCalls, IdleRound>(serverModule, serverOptions, async (server) =>
    await withChild<StreamClientCalls, IdleRound>(clientModule, { name: 'the client' }, async (client) => {
      const port = await server.call('start', { kind: kind.server, options: { streams } })
      const target = { port, path: '/live', headers: kind.headers, timeoutMs: openTimeoutMs }
      const warmUp = warmUpStreams(streams)
      await client.call('open', { ...target, count: warmUp }, openTimeoutMs)
      const before = await server.call('read', undefined)
      await client.call('open', { ...target, count: streams }, openTimeoutMs)
      await delay(holdSeconds * 1000)
      const after = await server.call('read', undefined)
      const reached = await client.call('openCount', undefined)
      if (after.openStreams !== warmUp + streams || reached !== warmUp + streams) {
        throw new Error(`${kind.name}: of ${warmUp + streams} streams the server holds ${after.openStreams}, ` +
          `the client ${reached}`)
      }
      const perStreamKiB = (bytes: (reading: StreamsReading) => number): number =>
        (bytes(after) - bytes(before)) / streams / 1024
      return {
        kind: kind.name,
        streams,
        repeat,
        before,
        after,
        residentKiB: perStreamKiB((reading) => reading.residentBytes),
        inUseKiB: perStreamKiB((reading) => reading.residentBytes - reading.idleHeapBytes),
        heapKiB: perStreamKiB((reading) => reading.heapUsedBytes)
      }
    }))
}
