import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { answer } from '../process/child-endpoint.ts'
import { createHistogram, encode, record, type Histogram } from '../statistics/histogram.ts'
import { frameSplitter } from './frames.ts'
import type { Link } from './link.ts'
import { openerOf } from './opener.ts'
import { Pace } from './pace.ts'
import type { Target } from './target.ts'

// A process with readers of its own, which measure: their load is small, so their clock is on time.

export interface ProbeReading {
  /** From the intended time of a ping to its pong, behind all that waits for that reader. */
  readonly ping: string
  /** Pings without a pong in time. */
  readonly missing: number
  /** From the first probe's receipt of a broadcast to each other's. Empty with one probe, or without broadcasts. */
  readonly spread: string
  /** Updates that a probe received a second, on average. */
  readonly updatesPerSecond: number
  /** Mean bytes of an update. */
  readonly updateBytes: number
  /** Why there are no pings; null if there are. */
  readonly silent: string | null
}

interface Probe {
  readonly link: Link
  readonly session: string
}

/** Time that the last requests of sessions that leave have. */
const leaveMs = 200
const pongText = '"type":"pong"'
/** Two copies of one broadcast that are further apart than this are two broadcasts. */
const longestSpreadMs = 10_000
const mostRemembered = 20_000

const probes: Probe[] = []
let target: Target | null = null
let ping = createHistogram()
let spread = createHistogram()
let pace: Pace | null = null
let silent: string | null = null
let lastId = 0
let nextProbe = 0
let startedAt = 0
let updates = 0
let updateBytes = 0
/** Pings of the window without a pong, by id. */
let waiting = new Map<number, number>()
/** When the first probe received a text, and which probes have. */
let seen = new Map<string, { at: number, by: Set<number> }>()

function onFrame (frame: string, probe: number): void {
  if (frame.includes(pongText)) return onPong(Number(/"id":"?(\d+)/.exec(frame)?.[1]))
  if (frame.startsWith('event: tether\n') || frame.startsWith(':') || startedAt === 0) return
  updates += 1
  updateBytes += frame.length + 2
  if (probes.length > 1) onUpdate(frame, probe)
}

function onPong (id: number): void {
  const intendedAt = waiting.get(id)
  if (intendedAt === undefined) return
  waiting.delete(id)
  record(ping, performance.now() - intendedAt)
}

function onUpdate (frame: string, probe: number): void {
  const now = performance.now()
  const first = seen.get(frame)
  if (first === undefined || now - first.at > longestSpreadMs || first.by.has(probe)) {
    if (seen.size >= mostRemembered) seen.clear()
    seen.set(frame, { at: now, by: new Set([probe]) })
    return
  }
  first.by.add(probe)
  record(spread, now - first.at)
}

async function openOne (): Promise<void> {
  const number = probes.length
  const probe = await new Promise<Probe>((resolve, reject) => {
    const split = frameSplitter((frame) => onFrame(frame, number))
    const link: Link = openerOf(target!)({
      onHello: (session) => { setImmediate(() => resolve({ link, session })) },
      onText: split,
      onGone: (reason) => {
        const index = probes.findIndex((one) => one.link === link)
        if (index !== -1) probes.splice(index, 1)
        reject(new Error(reason))
      }
    }, null)
  })
  probes.push(probe)
}

function sendPing (intendedAt: number): void {
  const probe = probes[nextProbe++ % probes.length]
  if (probe === undefined) return
  const id = ++lastId
  if (startedAt > 0) waiting.set(id, intendedAt)
  probe.link.send(JSON.stringify({ event: 'tether.ping', data: { id: String(id) } }), (status) => {
    if (status >= 200 && status < 300) return
    waiting.delete(id)
    // An older server does not know the event; then none of the pings can be answered.
    if (status === 400 || status === 404) {
      silent = `the server answers ${status} to tether.ping`
      pace?.stop()
    }
  })
}

const calls = {
  setUp: (given: Target): void => { target = given },
  /** Opens or closes probes. Returns how many there are, and why there are not more; null if there are as many as asked for. */
  resize: async (count: number): Promise<{ fault: string | null, open: number }> => {
    while (probes.length > count) probes.pop()!.link.leave()
    try {
      while (probes.length < count) await openOne()
      return { fault: null, open: probes.length }
    } catch (error) {
      return { fault: (error as Error).message, open: probes.length }
    }
  },
  /** Pings at a rate from now on; 0 for none. */
  drive: (perSecond: number): void => {
    pace?.stop()
    pace = perSecond === 0 || silent !== null ? null : new Pace(perSecond, sendPing)
  },
  mark: (): void => {
    ping = createHistogram()
    spread = createHistogram()
    waiting = new Map()
    seen = new Map()
    updates = updateBytes = 0
    startedAt = performance.now()
  },
  take: async (graceMs: number): Promise<ProbeReading> => {
    pace?.stop()
    const seconds = (performance.now() - startedAt) / 1_000
    const perSecond = probes.length === 0 ? 0 : updates / probes.length / seconds
    const bytes = updates === 0 ? 0 : updateBytes / updates
    const deadline = performance.now() + graceMs
    while (waiting.size > 0 && performance.now() < deadline) await delay(10)
    const now = performance.now()
    for (const intendedAt of waiting.values()) record(ping, now - intendedAt)
    startedAt = 0
    return { ping: text(ping), missing: waiting.size, spread: text(spread), updatesPerSecond: perSecond, updateBytes: bytes, silent }
  },
  /** Ends all sessions, as pages that go away do. */
  close: async (): Promise<void> => {
    pace?.stop()
    for (const { link } of probes.splice(0)) link.leave()
    await delay(leaveMs)
  }
}

function text (histogram: Histogram): string {
  return encode(histogram)
}

export type ProbeCalls = typeof calls

answer(calls)
