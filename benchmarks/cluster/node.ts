import { createHistogram, performance } from 'node:perf_hooks'
import process from 'node:process'
import { Type } from '@sinclair/typebox'
import Fastify from 'fastify'
import { defineContract, tether, type TetherOptions } from 'fastify-tether'
import { answer } from '../../tune/process/child-endpoint.ts'
import { microseconds } from '../harness/process/clock.ts'
import { latencyOf, type Latency } from '../harness/report/latency.ts'
import { listen } from '../harness/streams/loopback.ts'
import { liveUrl } from '../harness/streams/socket-stream.ts'
import { modes, urlOf, type PersistMode } from './persist-mode.ts'

// A process with one node, which also sends the broadcasts.

export type Engine = 'none' | 'local' | 'redis'

export interface NodeOptions {
  readonly engine: Engine
  /** Of Redis. */
  readonly port: number
  /** Of the local hub. */
  readonly directory: string
}

export interface Sent {
  readonly frames: number
  /** By `microseconds`. */
  readonly startedAt: number
  readonly processorMicroseconds: number
}

const contract = defineContract({
  events: { say: Type.Object({ n: Type.Integer() }) },
  updates: { frame: Type.Object({ t: Type.Integer(), padding: Type.String() }) }
})
const most = 10_000_000
/** Frames that wait for the log at most, in the closed loop. */
const frameWindow = 2_000

const app = Fastify()
let live: ReturnType<typeof mount>
let redisPort = 0
/** Events that have run. */
let said = 0
/** Makes a state of 150 bytes as JSON. */
const note = 'x'.repeat(130)

function mount (url: string, persist: PersistMode) {
  return app.tether.stateful(url, {
    contract,
    persist,
    initialState: () => ({ said: 0, note }),
    queueFrames: 1_000_000,
    queueBytes: 1_000_000_000,
    reconnectMs: 600_000,
    on: {
      say: (session, { n }) => {
        session.state.said = n
        said += 1
      }
    }
  })
}

async function clusterOf ({ engine, port, directory }: NodeOptions): Promise<NonNullable<TetherOptions['cluster']>> {
  if (engine === 'local') return (await import('fastify-tether/local')).local({ directory })
  const [{ redis }, { Redis }] = await Promise.all([import('fastify-tether/redis'), import('ioredis')])
  return redis(new Redis({ port, host: '127.0.0.1', lazyConnect: true }))
}

function broadcast (bytes: number): void {
  live.broadcast('frame', { t: microseconds(), padding: 'x'.repeat(bytes) })
}

async function measured (send: () => Promise<number>): Promise<Sent> {
  const before = process.cpuUsage()
  const startedAt = microseconds()
  const frames = await send()
  const { user, system } = process.cpuUsage(before)
  return { frames, startedAt, processorMicroseconds: user + system }
}

const calls = {
  start: async (options: NodeOptions): Promise<number> => {
    redisPort = options.port
    await app.register(tether, { maxSessions: 50_000, maxBufferedBytes: 1_000_000_000, ...options.engine === 'none' ? {} : { cluster: await clusterOf(options) } })
    live = mount(liveUrl, 'move')
    if (options.engine === 'redis') for (const mode of modes) mount(urlOf(mode), mode)
    return await listen(app)
  },
  nodes: (): number => app.tether.cluster === null ? 1 : app.tether.cluster.nodes().length,
  /** Broadcasts one by one, at a rate a second. */
  pace: async ({ perSecond, seconds, bytes }: { perSecond: number, seconds: number, bytes: number }): Promise<Sent> => await measured(async () => {
    const startedAt = performance.now()
    let frames = 0
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        const passed = Math.min(seconds, (performance.now() - startedAt) / 1_000)
        for (; frames < passed * perSecond; frames += 1) broadcast(bytes)
        if (passed < seconds) return
        clearInterval(timer)
        resolve()
      }, 1)
    })
    return frames
  }),
  /** Broadcasts as fast as the log takes them, `burst` in each turn of the event loop. */
  flood: async ({ frames, burst, bytes }: { frames: number, burst: number, bytes: number }): Promise<Sent> => await measured(async () => {
    let sent = 0
    while (sent < frames) {
      for (let left = frameWindow; left > 0; left -= burst) {
        for (let count = 0; count < burst; count += 1) broadcast(bytes)
        sent += burst
        await new Promise(setImmediate)
      }
      await live.synced()
    }
    return sent
  }),
  /** How long Redis takes for nothing, one call after the other. */
  roundTrip: async (count: number): Promise<Latency> => {
    const { Redis } = await import('ioredis')
    const client = new Redis({ port: redisPort, host: '127.0.0.1' })
    const histogram = createHistogram({ lowest: 1, highest: most })
    for (let index = 0; index < count; index += 1) {
      const startedAt = microseconds()
      await client.ping()
      histogram.record(Math.max(1, microseconds() - startedAt))
    }
    client.disconnect()
    return latencyOf(histogram)
  },
  sessions: (): number => [...live.sessions].length,
  /** Events and CPU time so far. */
  used: (): { said: number, processorMicroseconds: number } => {
    const { user, system } = process.cpuUsage()
    return { said, processorMicroseconds: user + system }
  },
  /** Freezes all sessions. Gives the milliseconds. */
  drain: async (): Promise<number> => {
    const startedAt = performance.now()
    await app.tether.drain({ timeoutMs: 30_000, spreadMs: 0 })
    return performance.now() - startedAt
  }
}

export type NodeCalls = typeof calls

answer(calls)
