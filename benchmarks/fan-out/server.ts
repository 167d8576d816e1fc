import { monitorEventLoopDelay, performance, type IntervalHistogram } from 'node:perf_hooks'
import process from 'node:process'
import { answer } from '../harness/child-endpoint.ts'
import { Acknowledgements } from './acknowledgement.ts'
import type { FanOutOptions, FanOutServer } from './fan-out-server.ts'
import { Profile } from './profile.ts'
import type { ReaderKind } from './tether-server.ts'
import { runClosedLoop, runFixedRate } from './ticks.ts'

/** The modules are loaded only by those who need them: each would weigh on the others. */
const starters: Record<string, (options: FanOutOptions) => Promise<FanOutServer>> = {
  bare: async (options) => await startBare(options, 'writeToResponses'),
  'bare sockets': async (options) => await startBare(options, 'writeToSockets'),
  'tether counted': async (options) => await startTether(options, 'counted'),
  'tether websocket': async (options) => await startTether(options, 'websocket'),
  'tether exact': async (options) => await startTether(options, 'exact'),
  'better-sse': async (options) => await startBetterSse(options, 'broadcast'),
  'better-sse batched': async (options) => await startBetterSse(options, 'batch'),
  '@fastify/sse': async (options) => await (await import('./fastify-sse-server.ts')).startFastifySseServer(options),
  'fastify-sse-v2': async (options) => await (await import('./fastify-sse-v2-server.ts')).startFastifySseV2Server(options),
  '@fastify/websocket': async (options) => await (await import('./websocket-server.ts')).startWebsocketServer(options),
  nchan: async (options) => await (await import('./nchan-server.ts')).startNchanServer(options)
}

async function startBare (options: FanOutOptions, spread: 'writeToResponses' | 'writeToSockets'): Promise<FanOutServer> {
  const module = await import('./bare-server.ts')
  return await module.startBareServer(options, module[spread])
}

async function startBetterSse (options: FanOutOptions, spread: 'broadcast' | 'batch'): Promise<FanOutServer> {
  const module = await import('./better-sse-server.ts')
  return await module.startBetterSseServer(options, module[spread])
}

async function startTether (options: FanOutOptions, reader: ReaderKind): Promise<FanOutServer> {
  return await (await import('./tether-server.ts')).startTetherServer(options, reader)
}

export interface ServerAddress {
  readonly port: number
  readonly path: string
  readonly headers: Record<string, string>
  readonly opening: string
  /** Answers POST and does nothing else; empty where there is none. */
  readonly postPath: string
  /** Where the readers' process says that a tick has reached everybody. */
  readonly acknowledgementPort: number
}

export interface ServerReading {
  readonly ticks: number
  /** From the first broadcast until the last was acknowledged, or the last interval was over. */
  readonly seconds: number
  readonly processorMicroseconds: number
  /** The part of it that was spent outside of system calls; null where that is not known. */
  readonly userMicroseconds: number | null
  readonly residentBytes: number
}

/** How late the event loop came back to its timers, in milliseconds. */
export interface LoopDelay {
  readonly p50: number
  readonly p99: number
  readonly maximum: number
}

interface Part {
  readonly seconds: number
  /** Frames of one tick. */
  readonly burst: number
  /** Without it the next tick begins when the last has reached everybody. */
  readonly ticksPerSecond?: number
  /** Where to write a profile of it. */
  readonly profile?: string
}

let server: FanOutServer | undefined
let acknowledgements: Acknowledgements | undefined
let loopDelay: IntervalHistogram | undefined

function running (): { server: FanOutServer, acknowledgements: Acknowledgements } {
  if (server === undefined || acknowledgements === undefined) throw new Error('the server has not been started')
  return { server, acknowledgements }
}

interface ProcessorTime {
  readonly total: number
  readonly user: number | null
}

/** So far, in microseconds. */
function processorTime (server: FanOutServer): ProcessorTime {
  if (server.processorMicroseconds !== undefined) return { total: server.processorMicroseconds(), user: null }
  const { user, system } = process.cpuUsage()
  return { total: user + system, user }
}

const calls = {
  start: async ({ kind, options }: { kind: string, options: FanOutOptions }): Promise<ServerAddress> => {
    const start = starters[kind]
    if (start === undefined) throw new Error(`there is no server of the kind '${kind}'`)
    acknowledgements = await Acknowledgements.listen()
    server = await start(options)
    process.on('exit', () => server?.stop?.())
    const { port, path, headers, opening = '', postPath = '' } = server
    return { port, path, headers, opening, postPath, acknowledgementPort: acknowledgements.port }
  },
  audience: async (): Promise<number> => await running().server.audience(),
  fill: async (): Promise<void> => {
    const { fill } = running().server
    if (fill === undefined) throw new Error('this kind cannot fill pipes')
    await fill()
  },
  watchLoop: (): void => {
    loopDelay = monitorEventLoopDelay({ resolution: 1 })
    loopDelay.enable()
  },
  /** Since it is watched. */
  loopDelay: (): LoopDelay => {
    if (loopDelay === undefined) throw new Error('the event loop is not watched')
    return {
      p50: loopDelay.percentile(50) / 1e6,
      p99: loopDelay.percentile(99) / 1e6,
      maximum: loopDelay.max / 1e6
    }
  },
  run: async ({ seconds: duration, burst, ticksPerSecond, profile }: Part): Promise<ServerReading> => {
    const { server, acknowledgements } = running()
    const recording = profile === undefined ? undefined : await Profile.start()
    const before = processorTime(server)
    const startedAt = performance.now()
    const emit = (): void => server.emit(burst)
    const ticks = ticksPerSecond === undefined
      ? await runClosedLoop(emit, acknowledgements, duration)
      : await runFixedRate(emit, duration, ticksPerSecond)
    const seconds = (performance.now() - startedAt) / 1000
    const after = processorTime(server)
    const reading = {
      ticks,
      seconds,
      processorMicroseconds: after.total - before.total,
      userMicroseconds: after.user === null || before.user === null ? null : after.user - before.user,
      residentBytes: process.memoryUsage.rss()
    }
    if (profile !== undefined) await recording?.write(profile)
    return reading
  }
}

export type ServerCalls = typeof calls

answer(calls)
