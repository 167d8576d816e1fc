import type { WeightedEvent } from './input/events.ts'
import type { TuneOptions } from './input/options.ts'
import { Generator } from './measure/generator.ts'
import { descriptorLimit, portLimit } from './measure/machine.ts'
import type { Measured } from './measure/measured.ts'
import { loadsFor, orderOf, timingFor } from './measure/plan.ts'
import { TuningRoute, type ServerFigures } from './measure/server-figures.ts'
import { fallsBehind, holds, type Step, type StepKind } from './measure/step.ts'
import { Stepper } from './measure/stepper.ts'

/** Tells the person how far it is. */
export type Report = (text: string) => void

/** Clients that the first step of the ramp begins with. */
const firstClients = 8
const rampWarmMs = 400
const rampWindowMs = 1_000
/** A server that refuses more of the events than this is not asked again. */
const busyLimit = 0.5
const errorLimit = 0.01
const openFiles = 64
/** A server that handles less than this share of what is due is at its limit, whatever the latencies are. */
const clearlyBehind = 0.8
/** Times that the loads move because the ramp was wrong. */
const mostAttempts = 2
const mostTries = 3

/** Measures a server: a ramp that finds about what it bears, two equal steps, and then loads around that in turns. */
export class Run {
  readonly #options: TuneOptions
  readonly #report: Report
  readonly #signal: AbortSignal
  readonly #steps: Step[] = []
  readonly #remarks: string[] = []
  #endsAt = Infinity
  #stepper!: Stepper
  #figures: ServerFigures | null = null
  #isOverMemory = false
  #isGeneratorLimited = false
  /** Why the server took no more clients; null if it took all. */
  #refusal: string | null = null
  #isStopped = false
  /** Whether it stopped because the server answers with errors: then what held before says nothing. */
  #isFaulty = false
  /** Most clients: what was asked for, or what the server and this machine allow. */
  #most: number

  constructor (options: TuneOptions, report: Report, signal: AbortSignal) {
    this.#options = options
    this.#report = report
    this.#signal = signal
    this.#most = options.maxClients
  }

  async run (events: readonly WeightedEvent[]): Promise<Measured> {
    this.#boundByMachine()
    const generator = await Generator.start(this.#options, events)
    // The generator's own start is no time for the server, however long a slow machine takes for it.
    this.#endsAt = Date.now() + this.#options.minutes * 60_000
    let isComplete = false
    try {
      this.#stepper = new Stepper(generator, new TuningRoute(this.#options.url, this.#options.headers), this.#options.objectives)
      this.#figures = await this.#stepper.figures()
      if (this.#figures === null) this.#remarks.push(`From outside only: ${this.#stepper.outside!}. Handlers that wait, memory and write buffers cannot be seen.`)
      isComplete = await this.#untilAborted(this.#measure())
    } catch (error) {
      if (this.#steps.length === 0) throw error
      this.#remarks.push(`The run broke off: ${(error as Error).message}`)
    } finally {
      await generator.stop()
    }
    return {
      steps: this.#steps,
      remarks: this.#remarks,
      outside: this.#stepper.outside,
      figures: this.#figures,
      isOverMemory: this.#isOverMemory,
      isGeneratorLimited: this.#isGeneratorLimited,
      refusal: this.#refusal,
      isComplete: isComplete && !this.#isFaulty
    }
  }

  /** Connections that this machine can open. */
  #boundByMachine (): void {
    const { transport } = this.#options
    const files = descriptorLimit()
    const connections = Math.min(files === null ? Infinity : files - openFiles - 512, portLimit() - 1_024)
    if (transport === 'http2' || this.#most <= connections) return
    this.#most = Math.max(1, connections)
    this.#isGeneratorLimited = true
    this.#remarks.push(`This machine opens at most ${connections} connections: its ports or file descriptors end there. The run goes no further.`)
  }

  /** Resolves with false as soon as the run is aborted; what was measured is there. */
  async #untilAborted (work: Promise<void>): Promise<boolean> {
    // After an abort its processes are gone, and it fails.
    work.catch(() => {})
    const aborted = new Promise<boolean>((resolve) => {
      if (this.#signal.aborted) resolve(false)
      this.#signal.addEventListener('abort', () => resolve(false), { once: true })
    })
    return await Promise.race([work.then(() => true), aborted])
  }

  async #measure (): Promise<void> {
    const { rate } = this.#options
    let found = await this.#ramp()
    for (let attempt = 0; !this.#isStopped; attempt += 1) {
      const loads = loadsFor(found, this.#most * rate)
      const better = await this.#measureLoads(loads, attempt === 0, attempt < mostAttempts && found !== null)
      if (better === null) return
      found = better
      this.#report(`the capacity is at about ${Math.round(better)} events/s: measuring around it`)
    }
  }

  /**
   * Measures loads in turns, until the time is over.
   *
   * @param mayMove whether the loads may prove wrong in the first repeat
   * @returns a better middle for other loads, if they proved wrong; null when all is measured
   */
  async #measureLoads (loads: readonly number[], hasControl: boolean, mayMove: boolean): Promise<number | null> {
    const { warmMs, windowMs, repeats } = timingFor(loads.length + (hasControl ? 1 : 0), this.#endsAt - Date.now(), this.#options.quick)
    const control = loads[Math.floor(loads.length / 3)]!
    if (hasControl) for (const repeat of [0, 1]) if (!this.#isStopped) await this.#step('control', repeat, control, warmMs, windowMs)
    for (let repeat = 0; repeat < repeats; repeat += 1) {
      const first: Step[] = []
      for (const index of orderOf(loads.length, repeat)) {
        if (this.#isStopped) return null
        if (Date.now() + warmMs + windowMs > this.#endsAt) {
          this.#remarks.push(`The time was over in repeat ${repeat + 1} of ${repeats}.`)
          return null
        }
        const step = await this.#step('measured', repeat, loads[index]!, warmMs, windowMs)
        if (step !== null) first.push(step)
      }
      if (repeat === 0 && mayMove) {
        const better = this.#moved(first, loads)
        if (better !== null) return better
      }
    }
    return null
  }

  /** Where the capacity seems to be, if all of the loads or none of them hold; null if it is among them. */
  #moved (steps: readonly Step[], loads: readonly number[]): number | null {
    const { objectives, rate } = this.#options
    const good = steps.filter((step) => step.void === null)
    if (good.length < 3) return null
    const held = good.filter((step) => holds(step, objectives))
    const largest = Math.max(...loads)
    if (held.length === good.length && largest < this.#most * rate) return Math.min(this.#most * rate, largest * 1.3)
    if (held.length > 0) return null
    const least = good.reduce((one, other) => other.offered < one.offered ? other : one)
    return Math.min(least.offered * 0.6, least.achieved)
  }

  /** Multiplies the load until it does not hold. Returns about what the server bears; null if it bears all that is allowed. */
  async #ramp (): Promise<number | null> {
    const { rate, quick } = this.#options
    const growth = quick ? 3 : 2
    let held = 0
    for (let clients = Math.min(firstClients, this.#most); ; clients = Math.min(this.#most, clients * growth)) {
      const step = await this.#try(clients)
      if (this.#isStopped) return null
      if (step === null) {
        // The server takes fewer clients than that.
        clients = this.#most
        if (clients * rate <= held) return null
        continue
      }
      if (step.void !== null) {
        this.#isGeneratorLimited = true
        this.#remarks.push(`Beyond ${Math.round(held)} events a second ${step.void}; the run goes no further.`)
        this.#most = Math.max(1, Math.floor(held / rate))
        return null
      }
      if (!holds(step, this.#options.objectives)) return this.#between(held, step)
      held = clients * rate
      if (clients === this.#most) return null
    }
  }

  /** Measures a load until it holds, a few times: other work only ever makes a server look worse. Null if that number of clients cannot connect. */
  async #try (clients: number): Promise<Step | null> {
    const { rate, objectives } = this.#options
    let best: Step | null = null
    for (let repeat = 0; repeat < mostTries; repeat += 1) {
      if (Date.now() > this.#endsAt) {
        this.#stop('The time was over before the limit was found.')
        return best
      }
      const step = await this.#step('ramp', repeat, clients * rate, rampWarmMs, rampWindowMs)
      if (step === null || this.#isStopped) return step
      if (step.void === null && holds(step, objectives)) return step
      // The best of those that are not void.
      if (best === null || (best.void !== null && step.void === null) || (step.void === null && step.achieved > best.achieved)) best = step
      if (repeat === 1 && best.void === null && best.achieved < clearlyBehind * best.offered) return best
    }
    return best
  }

  /** About what a server bears that held one load and did not hold the next. */
  #between (held: number, failed: Step): number {
    const saturated = fallsBehind(failed) ? failed.achieved : Infinity
    return Math.max(held * 0.9, Math.min(saturated, (held + failed.offered) / 2), failed.offered / 20)
  }

  async #step (kind: StepKind, repeat: number, load: number, warmMs: number, windowMs: number): Promise<Step | null> {
    const { rate, maxMemoryBytes } = this.#options
    const clients = Math.max(1, Math.min(this.#most, Math.round(load / rate)))
    const step = await this.#stepper.measure({ kind, repeat, clients, load, warmMs, windowMs })
    if ('reason' in step) {
      const fewer = Math.min(clients - 1, step.open)
      this.#remarks.push(`${clients} clients could not connect: ${step.reason}. The run goes no further than ${fewer} clients.`)
      this.#refusal = step.reason
      this.#most = fewer
      if (fewer < 1) this.#isStopped = true
      return null
    }
    this.#steps.push(step)
    // Only with streams a server knows their writeBuffer.
    if (this.#steps.length === 1) this.#figures = await this.#stepper.figures() ?? this.#figures
    this.#report(describe(step))
    const errors = Object.entries(step.statuses).reduce((sum, [status, count]) => Number(status) >= 500 ? sum + count : sum, 0) / Math.max(1, step.offered * step.seconds)
    if (errors > errorLimit) this.#fail(`The server answered ${Math.round(errors * 100)} % of the events with 5xx.`)
    if (kind !== 'ramp' && step.busyShare > busyLimit) this.#stop(`The server answered ${Math.round(step.busyShare * 100)} % of the events with 429.`)
    if ((step.server?.memory.residentBytes ?? 0) > maxMemoryBytes) {
      this.#isOverMemory = true
      this.#stop(`The server took ${Math.round(step.server!.memory.residentBytes / 1e6)} MB of memory, more than --max-memory allows.`)
    }
    if (step.refusedShare > busyLimit) this.#fail(`The server refused ${Math.round(step.refusedShare * 100)} % of the events (${Object.keys(step.statuses).join(', ')}): do the events fit the contract, and does the server need --headers or --cookie?`)
    return step
  }

  #fail (reason: string): void {
    this.#isFaulty = true
    this.#stop(reason)
  }

  #stop (reason: string): void {
    this.#remarks.push(`${reason} The run stopped.`)
    this.#isStopped = true
  }
}

function describe (step: Step): string {
  const milliseconds = (value: number | null): string => value === null ? '–' : value < 10 ? value.toFixed(1) : String(Math.round(value))
  const worst = [step.answer, step.ping, step.handled].map(({ p99 }) => p99 ?? 0)
  return `${step.kind} ${step.clients} clients, ${step.offered.toFixed(1)} events/s: handled ${step.achieved.toFixed(1)}/s, p99 ${milliseconds(Math.max(...worst))} ms` +
    (step.server === null ? '' : `, loop ${Math.round(step.server.loop * 100)} %`) + (step.void === null ? '' : `; void: ${step.void}`)
}
