import { setTimeout as delay } from 'node:timers/promises'
import { withChild } from '../harness/child-process.ts'
import { readCommandLine, readCount, readPositive, runBenchmark } from '../harness/command-line.ts'
import { requireDescriptors } from '../harness/descriptor-limit.ts'
import { describeMachine } from '../harness/machine.ts'
import { requirePluginBuild } from '../harness/plugin-build.ts'
import { Progress } from '../harness/progress.ts'
import { publish } from '../harness/report.ts'
import { rotated } from '../harness/rotation.ts'
import { summarise } from '../harness/statistics.ts'
import type { StreamClientCalls } from '../harness/stream-client.ts'
import { formatTable } from '../harness/table.ts'
import { judge } from '../harness/verdict.ts'
import type { ServerCalls, StreamsReading } from './server.ts'

type Figure = 'residentKiB' | 'inUseKiB' | 'heapKiB'

interface Kind {
  readonly name: string
  readonly server: 'bare' | 'fastify' | 'tether'
  readonly headers: Record<string, string>
  readonly goal?: number
}

interface Round {
  readonly kind: string
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

const eventStream = { Accept: 'text/event-stream' }
const baseline = 'bare'

const kinds: readonly Kind[] = [
  { name: baseline, server: 'bare', headers: eventStream },
  { name: 'bare, control', server: 'bare', headers: eventStream },
  { name: 'bare-fastify', server: 'fastify', headers: eventStream },
  { name: 'tether, counted', server: 'tether', headers: { ...eventStream, 'X-Tether-Session': 'new' }, goal: 1.75 },
  { name: 'tether, exact ids', server: 'tether', headers: eventStream, goal: 1.75 }
]

const openTimeoutMs = 120_000
const descriptorsForItself = 128

async function run (): Promise<void> {
  const given = readCommandLine('memory', {
    streams: { value: 'N', help: 'idle streams per server (5000)' },
    repeats: { value: 'N', help: 'fresh servers per kind (5)' },
    hold: { value: 'SECONDS', help: 'wait this long with all streams open before reading, heartbeats included (0)' },
    only: { value: 'TEXT', help: 'only kinds whose name contains this, and the baseline' },
    json: { value: 'FILE', help: 'write the raw figures there' }
  })
  const settings = {
    streams: readCount('streams', given.streams, 5_000),
    repeats: readCount('repeats', given.repeats, 5),
    holdSeconds: given.hold === undefined ? 0 : readPositive('hold', given.hold, 0),
    kinds: kinds.filter(({ name }) => name === baseline || name.includes(given.only ?? ''))
  }
  requireDescriptors(settings.streams + warmUpStreams(settings.streams) + descriptorsForItself)
  if (settings.kinds.some(({ server }) => server === 'tether')) requirePluginBuild()

  const machine = describeMachine(['fastify', '@sinclair/typebox'])
  const progress = new Progress(settings.repeats * settings.kinds.length)
  const rounds: Round[] = []
  for (let repeat = 0; repeat < settings.repeats; repeat += 1) {
    for (const kind of rotated(settings.kinds, repeat)) {
      progress.begin(`${settings.streams} streams, ${kind.name}, repeat ${repeat + 1}`)
      rounds.push(await measure(kind, repeat, settings.streams, settings.holdSeconds))
      progress.end()
    }
  }

  const figures = (name: string, figure: Figure): number[] =>
    rounds.filter(({ kind }) => kind === name).map((round) => round[figure])
  /** Per repeat, against the bare server of the same repeat, so that a drift of the machine cancels out. */
  const ratios = (name: string, figure: Figure): number[] => {
    const bare = figures(baseline, figure)
    return figures(name, figure).map((value, repeat) => value / (bare[repeat] ?? Number.NaN))
  }
  const median = (values: readonly number[]): string => summarise(values).median.toFixed(2)
  const range = (values: readonly number[]): string =>
    `${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)}`
  const table = formatTable(settings.kinds, [
    { title: 'KiB per idle stream', value: ({ name }) => name },
    { title: 'resident', value: ({ name }) => median(figures(name, 'residentKiB')) },
    { title: 'min–max', value: ({ name }) => range(figures(name, 'residentKiB')) },
    { title: '× bare', value: ({ name }) => median(ratios(name, 'residentKiB')) },
    { title: 'in use', value: ({ name }) => median(figures(name, 'inUseKiB')) },
    { title: 'min–max', value: ({ name }) => range(figures(name, 'inUseKiB')) },
    { title: '× bare', value: ({ name }) => median(ratios(name, 'inUseKiB')) },
    { title: 'heap', value: ({ name }) => median(figures(name, 'heapKiB')) }
  ])
  const verdicts = settings.kinds.flatMap(({ name, goal }) => goal === undefined
    ? []
    : [judge({ name: `${name}: resident memory of an idle stream`, direction: 'at most', limit: goal },
        ratios(name, 'residentKiB'))])
  const title = `${settings.streams} idle streams, medians of ${settings.repeats} repeats`
  publish({ benchmark: 'memory', machine, settings, rounds, verdicts }, [title, '', table], given.json)
}

/** They stay open, so that room left over from starting up is filled before the counting begins. */
function warmUpStreams (streams: number): number {
  return Math.ceil(streams / 10)
}

async function measure (kind: Kind, repeat: number, streams: number, holdSeconds: number): Promise<Round> {
  const serverModule = new URL('server.ts', import.meta.url)
  const clientModule = new URL('../harness/stream-client.ts', import.meta.url)
  const serverOptions = { name: `the server of kind '${kind.name}'`, nodeArguments: ['--expose-gc'] }
  return await withChild<ServerCalls, Round>(serverModule, serverOptions, async (server) =>
    await withChild<StreamClientCalls, Round>(clientModule, { name: 'the client' }, async (client) => {
      const port = await server.call('start', { kind: kind.server, streams })
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
        repeat,
        before,
        after,
        residentKiB: perStreamKiB((reading) => reading.residentBytes),
        inUseKiB: perStreamKiB((reading) => reading.residentBytes - reading.idleHeapBytes),
        heapKiB: perStreamKiB((reading) => reading.heapUsedBytes)
      }
    }))
}

await runBenchmark(run)
