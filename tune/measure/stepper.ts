import { setTimeout as delay } from 'node:timers/promises'
import type { Objective } from '../input/options.ts'
import { between } from '../statistics/buckets.ts'
import { decode, encode, merge, percentile, type Histogram } from '../statistics/histogram.ts'
import { agreesWithLittle, littleRatio, type Flow } from '../statistics/little.ts'
import type { Generator, GeneratorReading, Refusal } from './generator.ts'
import { processTimeMs, processWaitMs, readProcessorTimes, type ProcessorTimes } from './machine.ts'
import type { ServerFigures, TuningRoute } from './server-figures.ts'
import { fallsBehind, holds, latencyAt, type Latency, type ServerStep, type Step, type StepKind } from './step.ts'

export interface StepOrder {
  readonly kind: StepKind
  readonly repeat: number
  readonly clients: number
  /** Events a second. */
  readonly load: number
  readonly warmMs: number
  readonly windowMs: number
}

/** The share of a window in which the process waited for a processor, given what the server says of the same window; null if it is another process. */
type Lost = (cpuMs: number, milliseconds: number) => number | null

interface ProcessWatch {
  readonly end: () => Lost
}

interface Ending {
  readonly reading: GeneratorReading
  readonly after: ServerFigures | null
  readonly processors: ProcessorTimes
  readonly own: number
  readonly lost: Lost | null
}

/** Beyond this share a process of the generator is late, and measures itself. */
const busyLimit = 0.85
/** Beyond this share of the least objective, latencies are the generator's, if its events are sent so late. */
const lagShare = 0.1
const stealLimit = 0.05
const drainMs = 15_000
/** Longest wait for late answers behind a window. */
const graceMs = 5_000
const rampGraceMs = 1_500
/** Readings one behind the other that a server may miss before it counts as one without figures. */
const mostMissed = 5
/** A server that handles nothing for this long does not drain: its readers take nothing. */
const standstillMs = 2_000

/** Measures one load after the other. */
export class Stepper {
  readonly #generator: Generator
  readonly #route: TuningRoute
  readonly #objectives: readonly Objective[]
  readonly #ownPids: readonly number[]
  #isGiving = false
  #missed = 0
  /** Why there are no figures of the server; null while there are. */
  outside: string | null = null

  constructor (generator: Generator, route: TuningRoute, objectives: readonly Objective[]) {
    this.#objectives = objectives
    this.#generator = generator
    this.#route = route
    this.#ownPids = [process.pid, ...generator.pids]
  }

  /** The server's figures now; null if it gives none. */
  async figures (collect = false): Promise<ServerFigures | null> {
    if (this.outside !== null) return null
    const figures = await this.#route.read(collect)
    if (typeof figures !== 'string') {
      this.#isGiving = true
      this.#missed = 0
      return figures
    }
    this.#missed += 1
    // A server that gave them before may be too busy for a while.
    if (!this.#isGiving || this.#missed >= mostMissed) this.outside = figures
    return null
  }

  /** The server takes no more streams than this. */
  bound (streams: number): void {
    this.#generator.bound(streams)
  }

  /** Opens the clients, drives the load, waits until the server is idle again. Returns the step, or why there is none. */
  async measure ({ kind, repeat, clients, load, warmMs, windowMs }: StepOrder): Promise<Step | Refusal> {
    const refusal = await this.#generator.resize(clients)
    if (refusal !== null) return refusal
    await this.#generator.drive(load)
    await delay(warmMs)
    const processorsBefore = readProcessorTimes()
    const ownBefore = this.#ownTime()
    const before = await this.figures()
    const watch = before === null ? null : watchProcess(before.pid)
    await this.#generator.mark()
    await delay(windowMs)
    const { reading, after, processors: processorsAfter, own: ownAfter, lost } = await this.#end(watch, kind === 'ramp' ? rampGraceMs : graceMs)
    const waited = lost === null || after === null ? null : lost(after.cpuMs - before!.cpuMs, after.atMs - before!.atMs)
    await this.#drain()
    const idle = await this.figures(true)
    const server = before === null || after === null ? null : serverStep(before, after, idle ?? after, reading.workers.reduce((sum, { clients }) => sum + clients.opened, 0))
    const handled = before === null || after === null ? [] : [between(before.events.total, after.events.total)]
    return stepOf({ objectives: this.#objectives, kind, repeat, clients, load, reading, server, handled, machine: { ...machineOf(processorsBefore, processorsAfter, ownAfter - ownBefore, server, before, after), waited } })
  }

  /** The figures at the end of the window, before the generator waits for late answers. */
  async #end (watch: ProcessWatch | null, graceMs: number): Promise<Ending> {
    const taking = this.#generator.take(graceMs)
    const after = await this.figures()
    const processors = readProcessorTimes()
    const own = this.#ownTime()
    const lost = watch === null ? null : watch.end()
    return { after, processors, own, lost, reading: await taking }
  }

  #ownTime (): number {
    return this.#ownPids.reduce((sum, pid) => sum + (processTimeMs(pid) ?? 0), 0)
  }

  /** Waits until no event waits any more, so that a step does not begin with the rest of another. */
  async #drain (): Promise<void> {
    const deadline = Date.now() + drainMs
    let settled = -1
    let progressAt = Date.now()
    while (Date.now() < deadline && Date.now() < progressAt + standstillMs) {
      const figures = await this.figures()
      if (figures === null && this.outside !== null) return
      if (figures !== null) {
        if (figures.events.waiting + figures.events.running === 0) return
        if (figures.events.settled > settled) progressAt = Date.now()
        settled = figures.events.settled
      }
      await delay(50)
    }
  }
}

interface Parts {
  readonly objectives: readonly Objective[]
  readonly kind: StepKind
  readonly repeat: number
  readonly clients: number
  readonly load: number
  readonly reading: GeneratorReading
  readonly server: ServerStep | null
  readonly handled: readonly Histogram[]
  readonly machine: Step['machine']
}

function stepOf ({ objectives, kind, repeat, clients, load, reading: { workers, probe }, server, handled, machine }: Parts): Step {
  const windows = workers.map(({ window }) => window)
  const sum = (of: (window: typeof windows[number]) => number): number => windows.reduce((total, window) => total + of(window), 0)
  const due = Math.max(1, sum((window) => window.due))
  const seconds = sum((window) => window.seconds) / windows.length
  const statuses: Record<string, number> = {}
  for (const window of windows) for (const [status, count] of Object.entries(window.statuses)) statuses[status] = (statuses[status] ?? 0) + count
  const flows = windows.map(({ flow }) => flow)
  const flow = togetherOf(flows)
  const busy = Math.max(...workers.map((worker) => worker.busy))
  const lagMs = percentile(merge(windows.map(({ lag }) => decode(lag))), 0.99) ?? 0
  const offered = sum((window) => window.due) / seconds
  const step = {
    kind,
    repeat,
    clients,
    load,
    offered,
    achieved: server?.eventsPerSecond ?? Math.min(offered, sum((window) => window.accepted) / seconds),
    seconds,
    answer: latencyOf(windows.map(({ latency }) => decode(latency))),
    ping: latencyOf([decode(probe.ping)]),
    handled: latencyOf(handled),
    spread: latencyOf([decode(probe.spread)]),
    busyShare: sum((window) => window.busy) / due,
    refusedShare: sum((window) => window.refused) / due,
    failedShare: sum((window) => window.failed + window.missing) / due,
    statuses,
    lostStreams: workers.reduce((total, worker) => total + worker.clients.lost, 0),
    probe: { updatesPerSecond: probe.updatesPerSecond, updateBytes: probe.updateBytes, silent: probe.silent },
    server,
    generator: { busy, lagMs, little: littleRatio(flow) },
    machine
  }
  return { ...step, void: voidOf(step, flow, objectives) }
}

/** Why a step says nothing. What makes a server look worse than it is does not matter where it looks good all the same. */
function voidOf (step: Omit<Step, 'void'>, flow: Flow, objectives: readonly Objective[]): string | null {
  const { generator: { busy, lagMs }, machine: { steal }, load, offered, seconds } = step
  // A load that grows is not steady; the law is about the others.
  // So is one with long pauses: those at the ends of the window are cut off.
  if (!agreesWithLittle(flow) && flow.meanMs < 50 * seconds && (step.answer.max ?? 0) < 250 * seconds) return 'requests on their way, their rate and their time contradict each other (Little\'s law)'
  if (offered < 0.9 * load - 3 / seconds) return `the load generator sent ${Math.round(offered)} of ${Math.round(load)} events a second`
  if (holds(step, objectives)) return null
  // The server got these events and did not handle them, which is its own figure and not the generator's.
  const isServers = step.server !== null && fallsBehind(step)
  if (busy > busyLimit && !isServers) return `the load generator was busy ${Math.round(busy * 100)} % of the time`
  // What is later than that by itself is late because of the server.
  const isLagging = lagMs > lagShare * Math.min(...objectives.map(({ limitMs }) => limitMs)) && objectives.every(({ share, limitMs }) => (latencyAt(step, share) ?? 0) - lagMs <= limitMs)
  if (!isServers && isLagging) return `the load generator sent events ${Math.round(lagMs)} ms late`
  if (steal > stealLimit) return `the hypervisor gave ${Math.round(steal * 100)} % of the processors to other machines`
  return null
}

function togetherOf (flows: readonly Flow[]): Flow {
  const perSecond = flows.reduce((sum, flow) => sum + flow.perSecond, 0)
  return {
    present: flows.reduce((sum, flow) => sum + flow.present, 0),
    perSecond,
    meanMs: perSecond === 0 ? 0 : flows.reduce((sum, flow) => sum + flow.meanMs * flow.perSecond, 0) / perSecond
  }
}

export function latencyOf (histograms: readonly Histogram[]): Latency {
  const all = merge(histograms)
  return {
    count: all.totalCount,
    p50: percentile(all, 0.5),
    p90: percentile(all, 0.9),
    p99: percentile(all, 0.99),
    p999: percentile(all, 0.999),
    max: percentile(all, 1),
    histogram: encode(all)
  }
}

function serverStep (before: ServerFigures, after: ServerFigures, idle: ServerFigures, opened: number): ServerStep {
  const milliseconds = after.atMs - before.atMs
  const settled = after.events.settled - before.events.settled
  const perSecond = settled / milliseconds * 1_000
  const loop = after.loopActiveMs - before.loopActiveMs
  const updates = after.stats.framesWritten - before.stats.framesWritten
  const present = (after.events.presenceMs - before.events.presenceMs) / milliseconds
  const timed = Math.max(1, settled)
  return {
    eventsPerSecond: perSecond,
    loop: loop / Math.max(1e-9, loop + after.loopIdleMs - before.loopIdleMs),
    processors: (after.cpuMs - before.cpuMs) / milliseconds,
    collectionShare: (after.collections.ms - before.collections.ms) / milliseconds,
    present,
    backlog: after.events.waiting + after.events.running,
    runMs: (after.events.runMs - before.events.runMs) / timed,
    heldShare: share(after.events.heldMs - before.events.heldMs, after.events.presenceMs - before.events.presenceMs),
    updatesPerSecond: updates / milliseconds * 1_000,
    updateBytes: updates === 0 ? 0 : (after.stats.bytesWritten - before.stats.bytesWritten) / updates,
    disconnects: after.stats.overflowDisconnects + after.stats.stallDisconnects - before.stats.overflowDisconnects - before.stats.stallDisconnects,
    streams: after.stats.streams,
    socketBytes: after.socketBytes,
    handlerErrors: after.stats.handlerErrors - before.stats.handlerErrors,
    flow: { present, perSecond, meanMs: (after.events.totalMs - before.events.totalMs) / timed },
    memory: {
      residentBytes: Math.max(after.memory.residentBytes, idle.memory.residentBytes),
      heldBytes: idle.memory.heapBytes + idle.memory.externalBytes - idle.stats.bufferedMemory,
      sessions: idle.stats.sessions,
      events: idle.events.settled,
      opened
    }
  }
}

/** A part of a whole, from 0 to 1. The figures of stalls that last follow the others only roughly. */
function share (part: number, whole: number): number {
  return whole <= 0 ? 0 : Math.min(1, Math.max(0, part / whole))
}

/** Watches how long a process waits for a processor. Its id may be that of another one, if the server runs in a container. */
function watchProcess (pid: number): ProcessWatch {
  const [waitBefore, timeBefore] = [processWaitMs(pid), processTimeMs(pid)]
  return {
    end: () => {
      const [wait, time] = [processWaitMs(pid), processTimeMs(pid)]
      return (cpuMs, milliseconds) => {
        if (waitBefore === null || timeBefore === null || wait === null || time === null) return null
        const isServer = Math.abs(time - timeBefore - cpuMs) < Math.max(50, 0.25 * cpuMs)
        return isServer ? Math.min(1, (wait - waitBefore) / milliseconds) : null
      }
    }
  }
}

function machineOf (before: ProcessorTimes, after: ProcessorTimes, ownMs: number, server: ServerStep | null, first: ServerFigures | null, last: ServerFigures | null): Omit<Step['machine'], 'waited'> {
  const total = Math.max(1, after.totalMs - before.totalMs)
  const serverMs = first === null || last === null ? 0 : last.cpuMs - first.cpuMs
  return {
    steal: (after.stealMs - before.stealMs) / total,
    others: server === null ? null : Math.max(0, after.busyMs - before.busyMs - ownMs - serverMs) / total
  }
}
