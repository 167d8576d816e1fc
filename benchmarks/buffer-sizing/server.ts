import type { Socket } from 'node:net'
import process from 'node:process'
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import tether, { defineContract, type Session, type SessionStats } from 'fastify-tether'
import { answer } from '../harness/process/child-endpoint.ts'
import { readMemory, type MemoryReading } from '../harness/process/memory-reading.ts'
import { listen } from '../harness/streams/loopback.ts'
import { liveUrl } from '../harness/streams/socket-stream.ts'
import type { Workload } from './workload.ts'

export interface ServerOptions {
  readonly workload: Workload
  readonly writeBuffer: number
  readonly commandBuffer: number
}

/** Figures of some sessions since `begin`. */
export interface SessionsReading {
  /** Events that were accepted. */
  readonly accepted: number
  readonly stalls: number
  /** Share of all their time. */
  readonly stalledShare: number
  /** Bytes of one session that were handed to the socket by the end, on average. */
  readonly socketBytes: number
  /** Bytes of one session that wait at the end, on average: in the outbox, and as future updates of the commands in the channel. */
  readonly waitingBytes: number
  readonly waitingCommandBytes: number
  /** Streams that the server ended, or that were lost. */
  readonly disconnected: number
  readonly handlerErrors: number
}

export interface MemorySample {
  readonly milliseconds: number
  readonly residentBytes: number
  readonly heapBytes: number
  /** Bytes in all outboxes, from `app.tether.stats()`. */
  readonly bufferedBytes: number
}

export interface ServerReading {
  readonly groups: Record<string, SessionsReading>
  readonly seconds: number
  /** Share of one processor that the server used. */
  readonly busy: number
}

interface Baseline {
  readonly sessions: readonly Session[]
  readonly stats: readonly SessionStats[]
}

const refresh = Type.Object({ at: Type.Integer({ minimum: 0 }) }, { additionalProperties: false })
const contract = defineContract({
  events: { refresh },
  updates: { sample: Type.Object({ at: Type.Integer(), text: Type.String() }) }
})
type LiveSession = Session<undefined, typeof contract.updates>

/** A stamp of the usual length, so that an update has the requested size. */
const widestStamp = 10 ** 12
const emptyUpdateBytes = `event: sample\ndata: ${JSON.stringify({ at: widestStamp, text: '' })}\n\n`.length

const memoryIntervalMs = 100
/** After this time without a change, the kernel's buffers are full. */
const restMs = 150
const fillTimeoutMs = 20_000
const sendsPerTurn = 64

let options: ServerOptions | undefined
let text = ''
let app: FastifyInstance | undefined
const sockets = new Map<string, Socket>()
let find: (id: string) => LiveSession | undefined = () => undefined
let groups = new Map<string, Baseline>()
let processorBefore = process.cpuUsage()
let startedAt = performance.now()
const createdAt = performance.now()
const memory: MemorySample[] = []

async function start (given: ServerOptions): Promise<number> {
  options = given
  const { workload, writeBuffer, commandBuffer } = given
  text = 'x'.repeat(Math.max(0, workload.updateBytes - emptyUpdateBytes))
  app = Fastify()
  await app.register(tether, { maxBufferedBytes: 2 ** 40 })
  const live = app.tether.stateful(liveUrl, {
    contract,
    // Frozen readers must stay.
    upgrade: app.tether.sse.upgrade({ writeBuffer, stallTimeoutMs: 0 }),
    commandBuffer,
    maxBatch: 1,
    handlerTimeoutMs: 0,
    // Only the write buffer limits the waiting updates.
    queueFrames: 2 * writeBuffer + 1_024,
    queueBytes: (2 * writeBuffer + 1_024) * Math.max(workload.updateBytes, 1_024),
    on: { refresh: answerEvent },
    onConnect: (session, { request }) => { sockets.set(session.id, request.raw.socket) }
  })
  find = (id) => live.get(id)
  const port = await listen(app)
  setInterval(sampleMemory, memoryIntervalMs).unref()
  return port
}

async function answerEvent (session: LiveSession, { at }: { at: number }): Promise<void> {
  const count = options?.workload.updatesPerEvent ?? 1
  // The last update carries the time of the event: when it arrives, all have arrived.
  for (let sent = 1; sent <= count; sent += 1) await session.send('sample', { at: sent === count ? at : 0, text })
}

function sampleMemory (): void {
  const { rss, heapUsed } = process.memoryUsage()
  memory.push({
    milliseconds: Math.round(performance.now() - createdAt),
    residentBytes: rss,
    heapBytes: heapUsed,
    bufferedBytes: app?.tether.stats().bufferedBytes ?? 0
  })
}

/** Sends until nothing changes: kernel buffers, write buffer and channel are full. Returns the bytes sent. */
async function fill (ids: readonly string[]): Promise<number> {
  const deadline = performance.now() + fillTimeoutMs
  const sessions = ids.map(session)
  await Promise.all(sessions.map((one) => fillOne(one, deadline)))
  for (const one of sessions) fillChannel(one)
  const bytes = ids.reduce((sum, id) => sum + (sockets.get(id)?.bytesWritten ?? 0), 0)
  return bytes / Math.max(1, ids.length)
}

async function fillOne (one: LiveSession, deadline: number): Promise<void> {
  let written = -1
  let restSince = performance.now()
  while (performance.now() < deadline) {
    for (let sent = 0; sent < sendsPerTurn && !one.stats.stalled; sent += 1) one.send('sample', { at: 0, text })
    await (one.stats.stalled ? delay(5) : nextTurn())
    const { stalled, bytesWritten } = one.stats
    if (!stalled || bytesWritten !== written) restSince = performance.now()
    written = bytesWritten
    if (performance.now() - restSince >= restMs) return
  }
  throw new Error(`a reader that does not read took everything for ${fillTimeoutMs / 1000} s: no way to fill its pipe`)
}

function fillChannel (one: LiveSession): void {
  const room = (options?.commandBuffer ?? 0) - one.stats.queuedCommands
  for (let queued = 0; queued < room; queued += 1) one.update(async (self) => await answerEvent(self, { at: 0 }))
}

function session (id: string): LiveSession {
  const found = find(id)
  if (found === undefined) throw new Error('a session has gone before it was measured')
  return found
}

function begin (ids: Record<string, readonly string[]>): void {
  groups = new Map(Object.entries(ids).map(([name, list]) => {
    const sessions = list.map(session)
    return [name, { sessions, stats: sessions.map(({ stats }) => stats) }]
  }))
  processorBefore = process.cpuUsage()
  startedAt = performance.now()
}

function end (): ServerReading {
  const milliseconds = performance.now() - startedAt
  const { user, system } = process.cpuUsage(processorBefore)
  return {
    groups: Object.fromEntries([...groups].map(([name, baseline]) => [name, readSessions(baseline, milliseconds)])),
    seconds: milliseconds / 1000,
    busy: (user + system) / 1000 / milliseconds
  }
}

function readSessions ({ sessions, stats }: Baseline, milliseconds: number): SessionsReading {
  const count = Math.max(1, sessions.length)
  const sum = (figure: (stats: SessionStats) => number): number =>
    sessions.reduce((total, one, index) => total + figure(one.stats) - (stats[index] === undefined ? 0 : figure(stats[index])), 0)
  const atEnd = (figure: (one: Session) => number): number => sessions.reduce((total, one) => total + figure(one), 0) / count
  const eventBytes = options === undefined ? 0 : options.workload.updateBytes * options.workload.updatesPerEvent
  return {
    accepted: sum(({ eventsAccepted }) => eventsAccepted),
    stalls: sum(({ stalls }) => stalls),
    stalledShare: Math.min(1, sum(({ stalledMs }) => stalledMs) / count / milliseconds),
    socketBytes: atEnd(({ id }) => sockets.get(id)?.bytesWritten ?? 0),
    waitingBytes: atEnd((one) => one.stats.queuedBytes),
    waitingCommandBytes: atEnd((one) => one.stats.queuedCommands) * eventBytes,
    disconnected: sessions.filter(({ connected }) => !connected).length,
    handlerErrors: sum(({ handlerErrors }) => handlerErrors)
  }
}

const calls = {
  start,
  fill,
  begin,
  end,
  /** Readings since the start of the server. */
  memory: (): readonly MemorySample[] => memory,
  /** Memory after a full collection. */
  resident: async (): Promise<MemoryReading> => await readMemory(),
  /** Fills the channels of sessions whose present command never ends. Returns the number of waiting commands. */
  queueCommands: (ids: readonly string[]): number => {
    for (const one of ids.map(session)) {
      one.update(async () => await new Promise(() => {}))
      for (let queued = 0; queued < (options?.commandBuffer ?? 0) - 1; queued += 1) {
        const data = { at: queued }
        one.update(async (self) => await answerEvent(self, data))
      }
    }
    return ids.length * (options?.commandBuffer ?? 0)
  }
}

export type ServerCalls = typeof calls

answer(calls)
