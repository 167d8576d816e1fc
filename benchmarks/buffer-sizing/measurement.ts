import { setTimeout as delay } from 'node:timers/promises'
import type { Connection } from '../harness/load/generator.ts'
import { Load } from '../harness/load/load.ts'
import { refusedOf, type LoadReading } from '../harness/load/recorder.ts'
import { withChildren, type ChildProcess, type Children } from '../harness/process/child-process.ts'
import { inUseBytes } from '../harness/process/memory-reading.ts'
import { liveUrl } from '../harness/streams/socket-stream.ts'
import type { IdleMemory } from './memory-model.ts'
import type { ReadersCalls, ReadersReading } from './readers.ts'
import type { MemorySample, ServerCalls, SessionsReading } from './server.ts'
import { fast, type Speed } from './speed.ts'
import { bytesPerSecond, type Workload } from './workload.ts'

/** One setting of the buffers under one workload. */
export interface Cell {
  readonly workload: Workload
  readonly writeBuffer: number
  readonly commandBuffer: number
}

export interface MeasurementSettings {
  readonly speeds: readonly Speed[]
  readonly sessionsPerSpeed: number
  readonly connectionsPerSession: number
  readonly closedLoopSeconds: number
  readonly fixedRateSeconds: number
  /** Longest wait for updates that are on their way when a window ends. */
  readonly tailSeconds: number
}

/** Figures of the sessions of one reader speed in one window. */
export interface Reading {
  readonly acceptedPerSecond: number
  readonly post: LoadReading
  /** Latency from the event to its last update at the reader. */
  readonly update: ReadersReading['latency']
  /** Delay of the next update, computed from the bytes on their way to the reader; null if unknown. */
  readonly queueMs: number | null
  readonly server: SessionsReading
  /** Bytes of one stream at the end: handed to the server's socket and not read yet. */
  readonly bytesOnTheWay: number
}

export interface Measurement extends Cell {
  readonly repeat: number
  /** Readers without a speed limit, in a closed loop. */
  readonly closedLoop: Reading | null
  /** All readers at once, by the name of their speed. */
  readonly fixedRate: Record<string, Reading>
  /** Share of one processor that the server used. */
  readonly busy: { readonly closedLoop: number, readonly fixedRate: number }
  readonly memory: readonly MemorySample[]
  /** Bytes that one frozen stream took before its server noticed. */
  readonly pipeBytes: number | null
}

interface Drive {
  readonly port: number
  readonly seconds: number
  readonly connectionsPerSession: number
  /** Events a second of each session. Without it each connection sends after each answer. */
  readonly eventsPerSecond?: number
}

const settleMs = 150
const warmUpStreams = 10

/** The processes that all cells share; each cell gets a server of its own. */
export class Bench {
  readonly #readers: ChildProcess<ReadersCalls>
  readonly #load: Load

  private constructor (readers: ChildProcess<ReadersCalls>, load: Load) {
    this.#readers = readers
    this.#load = load
  }

  static async start (children: Children): Promise<Bench> {
    return new Bench(await children.start<ReadersCalls>(module('readers'), { name: 'the readers' }), await Load.start(children))
  }

  async measure (cell: Cell, repeat: number, settings: MeasurementSettings): Promise<Measurement> {
    return await withChildren(async (children) => {
      const server = await children.start<ServerCalls>(module('server'), { name: 'the server' })
      const port = await server.call('start', cell)
      const { speeds, sessionsPerSpeed } = settings
      const sessions = await this.#open(port, cell.workload.updateBytes, speeds, sessionsPerSpeed)
      try {
        const closedLoop = await this.#closedLoop(server, port, sessions, settings)
        const pipeBytes = await fillPipes(server, sessions, speeds, cell.workload)
        const fixedRate = await this.#fixedRate(server, port, sessions, cell.workload, settings)
        return {
          ...cell,
          repeat,
          closedLoop: closedLoop?.reading ?? null,
          fixedRate: fixedRate.readings,
          busy: { closedLoop: closedLoop?.busy ?? 0, fixedRate: fixedRate.busy },
          memory: await server.call('memory', undefined),
          pipeBytes
        }
      } finally {
        await this.#readers.call('close', undefined)
      }
    })
  }

  /** Measures the memory of a server without a stream, of one idle stream, and of a waiting command. */
  async measureIdle (cell: Cell, streams: number): Promise<IdleMemory> {
    return await withChildren(async (children) => {
      const server = await children.start<ServerCalls>(module('server'), { name: 'the server' })
      const port = await server.call('start', cell)
      try {
        // The first streams make the engine compile code, which does not count. Many of them would leave free memory for the rest.
        await this.#open(port, cell.workload.updateBytes, [fast], warmUpStreams)
        await this.#readers.call('close', undefined)
        await delay(settleMs)
        const before = await server.call('resident', undefined)
        const sessions = await this.#open(port, cell.workload.updateBytes, [fast], streams)
        const withStreams = await server.call('resident', undefined)
        const commands = await server.call('queueCommands', sessions[fast.name] ?? [])
        const withCommands = await server.call('resident', undefined)
        return {
          residentBytes: before.residentBytes,
          streamBytes: Math.max(0, inUseBytes(withStreams) - inUseBytes(before)) / streams,
          commandBytes: Math.max(0, inUseBytes(withCommands) - inUseBytes(withStreams)) / commands
        }
      } finally {
        await this.#readers.call('close', undefined)
      }
    })
  }

  async #open (port: number, updateBytes: number, speeds: readonly Speed[], count: number): Promise<Record<string, string[]>> {
    const sessions = await this.#readers.call('open', {
      port,
      updateBytes,
      count,
      speeds: speeds.map(({ name, bytesPerSecond }) => ({ name, bytesPerSecond: Number.isFinite(bytesPerSecond) ? bytesPerSecond : null }))
    }, 60_000)
    const opened = new Set(Object.values(sessions).flat()).size
    if (opened !== speeds.length * count) throw new Error(`only ${opened} of ${speeds.length * count} readers have a stream`)
    return sessions
  }

  async #closedLoop (
    server: ChildProcess<ServerCalls>, port: number, sessions: Record<string, string[]>, settings: MeasurementSettings
  ): Promise<{ reading: Reading, busy: number } | null> {
    const chosen = sessions[fast.name]
    if (chosen === undefined) return null
    const { readings, busy } = await this.#window(server, { [fast.name]: chosen }, settings, {
      port, seconds: settings.closedLoopSeconds, connectionsPerSession: settings.connectionsPerSession
    })
    const reading = readings[fast.name]
    return reading === undefined ? null : { reading, busy }
  }

  async #fixedRate (
    server: ChildProcess<ServerCalls>, port: number, sessions: Record<string, string[]>, workload: Workload,
    settings: MeasurementSettings
  ): Promise<{ readings: Record<string, Reading>, busy: number }> {
    return await this.#window(server, sessions, settings, {
      port,
      seconds: settings.fixedRateSeconds,
      // No more connections than events, and a whole number of events for each.
      connectionsPerSession: connectionsFor(workload.eventsPerSecond, settings.connectionsPerSession),
      eventsPerSecond: workload.eventsPerSecond
    })
  }

  async #window (
    server: ChildProcess<ServerCalls>, sessions: Record<string, string[]>, settings: MeasurementSettings,
    drive: Drive
  ): Promise<{ readings: Record<string, Reading>, busy: number }> {
    await this.#readers.call('begin', Object.keys(sessions))
    await server.call('begin', sessions)
    const posted = await this.#drive(sessions, drive)
    const before = await server.call('end', undefined)
    await this.#waitForUpdates(before.groups, settings)
    const served = await server.call('end', undefined)
    const accepted = Object.fromEntries(Object.entries(served.groups).map(([name, group]) => [name, group.accepted]))
    const read = await this.#readers.call('end', accepted)
    requireAnswers(Object.values(posted))
    // On a very busy machine a window may pass without an answer for a reader; this proves nothing.
    const answered = Object.keys(sessions).filter((name) => answersOf(posted[name]) > 0)
    const readings = answered.map((name): [string, Reading] => {
      const parts = { post: posted[name], server: served.groups[name], read: read[name] }
      const speed = settings.speeds.find((candidate) => candidate.name === name)
      if (parts.post === undefined || parts.server === undefined || parts.read === undefined || speed === undefined) {
        throw new Error(`nothing was measured of the readers '${name}'`)
      }
      // Stalls count in the window only; after it nothing is sent.
      const stalls = before.groups[name] ?? parts.server
      return [name, readingOf(speed, parts.post, { ...parts.server, stalls: stalls.stalls, stalledShare: stalls.stalledShare }, parts.read)]
    })
    return { readings: Object.fromEntries(readings), busy: before.busy }
  }

  async #drive (sessions: Record<string, string[]>, { connectionsPerSession, eventsPerSecond, ...drive }: Drive): Promise<Record<string, LoadReading>> {
    // One connection of each session, then the next of each, so that those of one session begin far apart.
    const connections = Array.from({ length: connectionsPerSession }, () => Object.entries(sessions).flatMap(([record, ids]) =>
      ids.map((session): Connection => ({ record, requests: [requestTo(session)] })))).flat()
    const pace = eventsPerSecond === undefined ? {} : { requestsPerSecond: Math.max(1, Math.round(eventsPerSecond / connectionsPerSession)) }
    await this.#load.drive({ ...drive, ...pace, connections, stamped: true })
    const readings: Record<string, LoadReading> = {}
    for (const record of Object.keys(sessions)) readings[record] = await this.#load.take(record)
    return readings
  }

  /** Readers that keep up get the last updates at once. The others get some time, which may be too short. */
  async #waitForUpdates (groups: Record<string, SessionsReading>, settings: MeasurementSettings): Promise<void> {
    await Promise.all(settings.speeds.filter(({ name, bytesPerSecond }) => groups[name] !== undefined && bytesPerSecond > 0)
      .map(async ({ name }) => await this.#readers.call('await', {
        speed: name, answers: groups[name]?.accepted ?? 0, withinMs: settings.tailSeconds * 1000
      })))
  }
}

function requestTo (session: string): Connection['requests'][number] {
  return {
    method: 'POST',
    path: `${liveUrl}/refresh`,
    headers: { 'content-type': 'application/json', 'x-tether-session': session },
    body: '{"at":0}'
  }
}

function answersOf (post: LoadReading | undefined): number {
  return post === undefined ? 0 : post.accepted + post.busy
}

function requireAnswers (posted: readonly LoadReading[]): void {
  const answered = posted.reduce((sum, post) => sum + answersOf(post), 0)
  const refused = posted.reduce((sum, post) => sum + refusedOf(post), 0)
  const errors = Math.max(0, ...posted.map((post) => post.errors))
  if (answered > 0 && errors + refused <= answered) return
  throw new Error(`the server did not take the events: ${answered} answered, ${refused} refused, ${errors} failed`)
}

function readingOf (speed: Speed, post: LoadReading, server: SessionsReading, read: ReadersReading): Reading {
  if (read.lost > 0 || server.disconnected > 0) {
    throw new Error(`${Math.max(read.lost, server.disconnected)} readers of the speed '${speed.name}' lost their stream`)
  }
  const bytesOnTheWay = Math.max(0, server.socketBytes - read.bytesRead)
  const queued = bytesOnTheWay + server.waitingBytes + server.waitingCommandBytes
  return {
    acceptedPerSecond: post.accepted / post.seconds,
    post,
    update: read.latency,
    queueMs: speed.bytesPerSecond > 0 && Number.isFinite(speed.bytesPerSecond) ? queued / speed.bytesPerSecond * 1000 : null,
    server,
    bytesOnTheWay
  }
}

/** Whether readers of a speed get more than they take at the fixed rate. */
export function isOverrun (speed: Speed, workload: Workload): boolean {
  return bytesPerSecond(workload) > speed.bytesPerSecond
}

/** Fills the pipes of readers that get more than they read. The other pipes would never fill by themselves. */
async function fillPipes (
  server: ChildProcess<ServerCalls>, sessions: Record<string, string[]>, speeds: readonly Speed[], workload: Workload
): Promise<number | null> {
  const slow = speeds.filter((speed) => isOverrun(speed, workload)).flatMap(({ name }) => sessions[name] ?? [])
  if (slow.length === 0) return null
  return await server.call('fill', slow, 40_000)
}

function connectionsFor (eventsPerSecond: number, most: number): number {
  for (let connections = Math.min(most, eventsPerSecond); connections > 1; connections -= 1) {
    if (eventsPerSecond % connections === 0) return connections
  }
  return 1
}

function module (name: string): URL {
  return new URL(`${name}.ts`, import.meta.url)
}
