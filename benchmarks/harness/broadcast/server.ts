import { Server } from 'node:http'
import { monitorEventLoopDelay, performance, type IntervalHistogram } from 'node:perf_hooks'
import process from 'node:process'
import { answer } from '../../../tune/process/child-endpoint.ts'
import { collect, readMemory, type MemoryReading } from '../process/memory-reading.ts'
import { Profile } from '../process/profile.ts'
import { latencyOf, type Latency } from '../report/latency.ts'
import { listen } from '../streams/loopback.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { BlockedPipes } from './pipes.ts'
import type { Shape } from './shapes.ts'
import { runClosedLoop, runFixedRate } from './ticks.ts'

export interface BroadcastOptions {
  /** Streams that will be opened. */
  readonly streams: number
  /** Bytes of one frame, for kinds that send frames of any size. */
  readonly frameBytes: number
  /** Folder of another build of the library, for a comparison. */
  readonly library?: string | undefined
  /** Option `compression` of the library's streams, if not the default. */
  readonly compression?: object | undefined
  /** Whom the library's frames go to; default `all`. */
  readonly shape?: Shape | undefined
}

/** One way of sending the same data to many readers. */
export interface BroadcastServer {
  /** Node's server, or an application of Fastify. */
  readonly listener: Parameters<typeof listen>[0]
  /** Number of streams that a broadcast reaches now. */
  audience (): number
  /** Broadcasts this number of frames in this turn of the event loop. */
  emit (frames: number): void
  /** Its own figures. */
  stats? (): object
}

/** Figures of a server whose streams are observed under load. */
export interface StreamStats {
  readonly connected: number
  /** Sessions, including those without a stream. */
  readonly sessions: number
  /** Bytes that wait or are kept for the streams, as far as the server knows. */
  readonly bufferedBytes: number
}

/** Memory under load. */
export interface MemorySample {
  readonly residentBytes: number
  /** Bytes inside and outside of the heap, after a full collection. */
  readonly liveBytes: number
}

/** Each loads its own modules, which would take memory of the others. */
export type Starters = Readonly<Record<string, (options: BroadcastOptions) => Promise<BroadcastServer>>>

export interface ServerReading {
  readonly ticks: number
  /** Time from the first broadcast until the last was acknowledged, or the last interval was over. */
  readonly seconds: number
  readonly processorMicroseconds: number
  /** The part of the processor time outside of system calls. */
  readonly userMicroseconds: number
  readonly residentBytes: number
}

interface RunOptions {
  readonly seconds: number
  /** Ends a closed loop after this number of ticks. */
  readonly ticks?: number
  /** Frames of one tick. */
  readonly burst: number
  /** Without it the next tick begins when the last has reached all readers. */
  readonly ticksPerSecond?: number
  /** File for a profile. */
  readonly profile?: string
}

/** Makes this process the server of one kind, at the parent's request. */
export function serveBroadcasts (starters: Starters): void {
  answer(callsOf(starters))
}

function callsOf (starters: Starters) {
  const pipes = new BlockedPipes()
  let server: BroadcastServer | undefined
  let acknowledgements: Acknowledgements | undefined
  let loopDelay: IntervalHistogram | undefined

  function running (): { server: BroadcastServer, acknowledgements: Acknowledgements } {
    if (server === undefined || acknowledgements === undefined) throw new Error('the server has not been started')
    return { server, acknowledgements }
  }

  return {
    start: async ({ kind, options }: { kind: string, options: BroadcastOptions }): Promise<{ port: number, acknowledgementPort: number }> => {
      const starter = starters[kind]
      if (starter === undefined) throw new Error(`there is no server of the kind '${kind}'`)
      acknowledgements = await Acknowledgements.listen()
      server = await starter(options)
      const port = await listen(server.listener)
      const { listener } = server
      const own = 'server' in listener ? listener.server : listener
      // A listener would give Node's HTTP/2 an object more for each stream.
      if (own instanceof Server) pipes.watch(own)
      return { port, acknowledgementPort: acknowledgements.port }
    },
    audience: (): number => running().server.audience(),
    stats: (): object | null => running().server.stats?.() ?? null,
    memory: async (): Promise<MemoryReading> => await readMemory(),
    /** Reads the memory without waiting for it to settle. */
    sample: (): MemorySample => {
      collect()
      const { rss, heapUsed, external } = process.memoryUsage()
      return { residentBytes: rss, liveBytes: heapUsed + external }
    },
    /** Fills the pipes of the streams that were opened as blocked. */
    fill: async (): Promise<void> => await pipes.fill(),
    watchLoop: (): void => {
      loopDelay = monitorEventLoopDelay({ resolution: 1 })
      loopDelay.enable()
    },
    /** Delay of the event loop's timers since `watchLoop`. */
    loopDelay: (): Latency => {
      if (loopDelay === undefined) throw new Error('the event loop is not watched')
      return latencyOf(loopDelay, { unitsPerMillisecond: 1e6 })
    },
    run: async ({ seconds: duration, ticks: limit, burst, ticksPerSecond, profile }: RunOptions): Promise<ServerReading> => {
      const { server, acknowledgements } = running()
      const recording = profile === undefined ? undefined : await Profile.start()
      const before = process.cpuUsage()
      const startedAt = performance.now()
      const emit = (): void => server.emit(burst)
      const ticks = ticksPerSecond === undefined
        ? await runClosedLoop(emit, acknowledgements, duration, limit)
        : await runFixedRate(emit, duration, ticksPerSecond)
      const seconds = (performance.now() - startedAt) / 1000
      const { user, system } = process.cpuUsage(before)
      if (profile !== undefined) await recording?.write(profile)
      return { ticks, seconds, processorMicroseconds: user + system, userMicroseconds: user, residentBytes: process.memoryUsage.rss() }
    }
  }
}

export type ServerCalls = ReturnType<typeof callsOf>
