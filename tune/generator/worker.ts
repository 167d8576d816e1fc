import { performance, type EventLoopUtilization } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import type { WeightedEvent } from '../input/events.ts'
import type { ReaderMix } from '../input/options.ts'
import { answer } from '../process/child-endpoint.ts'
import { randomFrom } from '../statistics/random.ts'
import { Clients, type ClientsReading } from './clients.ts'
import { openerOf } from './opener.ts'
import { Pace } from './pace.ts'
import type { Target } from './target.ts'
import { isAccepted, Window, type WindowReading } from './window.ts'

// A process that holds the clients: it reads their streams, and sends their events.

export interface WorkerSetup {
  readonly target: Target
  readonly mix: ReaderMix
  readonly events: readonly WeightedEvent[]
  /** Makes the order of events its own. */
  readonly seed: number
}

export interface WorkerReading {
  readonly window: WindowReading
  readonly clients: ClientsReading
  /** Share of the window in which this process was busy. */
  readonly busy: number
}

/** Time that the last requests of sessions that leave have. */
const leaveMs = 200

let clients: Clients | null = null
let choose: () => string = () => ''
let pace: Pace | null = null
let window: Window | null = null
let seed = 1
let atStart: EventLoopUtilization = performance.eventLoopUtilization()

function send (intendedAt: number): void {
  const settle = window?.begin(intendedAt)
  clients!.send(choose(), (status, code) => {
    if (isAccepted(status)) window?.accept()
    settle?.(status, code)
  })
}

/** Gives the envelope of one event after the other, by their weights. */
function chooser (events: readonly WeightedEvent[], random: () => number): () => string {
  const bodies = events.map(({ event, data }) => JSON.stringify({ event, data }))
  const total = events.reduce((sum, { weight }) => sum + weight, 0)
  return () => {
    let place = random() * total
    for (const [index, { weight }] of events.entries()) {
      place -= weight
      if (place < 0) return bodies[index]!
    }
    return bodies.at(-1)!
  }
}

const calls = {
  setUp: ({ target, mix, events, seed: given }: WorkerSetup): void => {
    seed = given
    clients = new Clients(openerOf(target), mix, given)
    choose = chooser(events, randomFrom(given))
  },
  /** Opens or closes clients. Returns how many there are, and why there are not more; null if there are as many as asked for. */
  resize: async ({ count, perSecond }: { count: number, perSecond: number }): Promise<{ fault: string | null, open: number }> => {
    const fault = await clients!.resize(count, perSecond)
    return { fault, open: clients!.size }
  },
  /** Sends events at a rate from now on; 0 for none. */
  drive: (perSecond: number): void => {
    pace?.stop()
    pace = perSecond === 0 ? null : new Pace(perSecond, send, seed++)
  },
  /** Begins a window. */
  mark: (): void => {
    clients!.read()
    atStart = performance.eventLoopUtilization()
    window = new Window()
  },
  /** Ends the window and the sending, and waits for the answers. A request without one by then counts as missing. */
  take: async (graceMs: number): Promise<WorkerReading> => {
    const ended = window!
    const busy = performance.eventLoopUtilization(atStart).utilization
    ended.end()
    pace?.stop()
    pace = null
    const deadline = performance.now() + graceMs
    while (!ended.isSettled && performance.now() < deadline) await delay(10)
    window = null
    return { window: ended.read(), clients: clients!.read(), busy }
  },
  /** Ends all sessions, as pages that go away do. */
  close: async (): Promise<void> => {
    pace?.stop()
    clients?.close()
    await delay(leaveMs)
  }
}

export type WorkerCalls = typeof calls

answer(calls)
