import process from 'node:process'
import { Acknowledgements } from '../fan-out/acknowledgement.ts'
import { runClosedLoop } from '../fan-out/ticks.ts'
import { answer } from '../harness/child-endpoint.ts'
import { readMemory, type MemoryReading } from '../harness/memory-reading.ts'

/** One way of sending the same to many, listening on a loopback port of its own. */
export interface CompressionServer {
  readonly port: number
  /** How many streams a broadcast reaches by now. */
  audience (): number
  /** Broadcasts so many samples in this turn of the event loop. */
  emit (frames: number): void
  /** What it says of its compression. */
  stats? (): object
}

export interface StartOptions {
  readonly server: 'tether' | 'gzip each'
  readonly streams: number
  readonly compression?: object
}

export interface ServerReading {
  readonly ticks: number
  readonly seconds: number
  readonly processorMicroseconds: number
}

let running: CompressionServer | undefined
let acknowledgements: Acknowledgements | undefined

function started (): { server: CompressionServer, acknowledgements: Acknowledgements } {
  if (running === undefined || acknowledgements === undefined) throw new Error('the server has not been started')
  return { server: running, acknowledgements }
}

const calls = {
  start: async ({ server, streams, compression }: StartOptions): Promise<{ port: number, acknowledgementPort: number }> => {
    acknowledgements = await Acknowledgements.listen()
    running = server === 'tether'
      ? await (await import('./tether-server.ts')).startTetherServer(streams, compression)
      : await (await import('./gzip-each-server.ts')).startGzipEachServer()
    return { port: running.port, acknowledgementPort: acknowledgements.port }
  },
  audience: (): number => started().server.audience(),
  memory: async (): Promise<MemoryReading> => await readMemory(),
  stats: (): object | null => started().server.stats?.() ?? null,
  run: async ({ seconds: duration, burst }: { seconds: number, burst: number }): Promise<ServerReading> => {
    const { server, acknowledgements } = started()
    const before = process.cpuUsage()
    const startedAt = performance.now()
    const ticks = await runClosedLoop(() => server.emit(burst), acknowledgements, duration)
    const { user, system } = process.cpuUsage(before)
    return { ticks, seconds: (performance.now() - startedAt) / 1000, processorMicroseconds: user + system }
  }
}

export type ServerCalls = typeof calls

answer(calls)
