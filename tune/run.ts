import type { WeightedEvent } from './input/events.ts'
import type { TuneOptions } from './input/options.ts'
import { Generator, type Refusal } from './measure/generator.ts'
import { isDisturbed } from './measure/disturbance.ts'
import { descriptorLimit, portLimit } from './measure/machine.ts'
import type { ClientRefusal, Measured } from './measure/measured.ts'
import { loadsFor, orderOf, timingFor, type Timing } from './measure/plan.ts'
import { TuningRoute, type ServerFigures, type SessionLimitOption } from './measure/server-figures.ts'
import { fallsBehind, holds, type Step, type StepKind } from './measure/step.ts'
import { Stepper } from './measure/stepper.ts'
import { placeOf, type Place } from './search/place.ts'
import { Search, type Found, type Trial } from './search/search.ts'

/** Tells the person how far it is. */
export type Report = (text: string) => void

/** Clients that the first step of the ramp begins with. */
const firstClients = 8
const rampWarmMs = 400
const rampWindowMs = 1_000
const leastOverheadMs = 700
/** A server that refuses more of the events than this is not asked again. */
const busyLimit = 0.5
const errorLimit = 0.01
const openFiles = 64
/** Times that the loads move because the limit is not among them. */
const mostMoves = 3
/** Loads of a repeat that are measured again because of others. */
const mostAgain = 3

/** Measures a server: a ramp that finds about what it bears, two equal steps, and then loads around that in turns. */
export class Run {
  readonly #options: TuneOptions
  readonly #report: Report
  readonly #signal: AbortSignal
  readonly #steps: Step[] = []
  readonly #remarks: string[] = []
  #endsAt = Infinity
  readonly #search: Search
  #stepper!: Stepper
  #figures: ServerFigures | null = null
  #isOverMemory = false
  #isGeneratorLimited = false
  #refusal: ClientRefusal | null = null
  #isStopped = false
  /** Whether it stopped because the server answers with errors: then what held before says nothing. */
  #isFaulty = false
  /** What a step costs beside its warm-up and its window, as measured. */
  #overheadMs = leastOverheadMs
  /** Most clients: what was asked for, or what the server and this machine allow. */
  #most: number

  constructor (options: TuneOptions, report: Report, signal: AbortSignal) {
    this.#options = options
    this.#report = report
    this.#signal = signal
    this.#most = options.maxClients
    this.#search = new Search({ attempt: async (load) => await this.#attempt(load), most: () => this.#most * options.rate, growth: options.quick ? 3 : 2 })
  }

  async run (events: readonly WeightedEvent[]): Promise<Measured> {
    this.#boundByMachine()
    const generator = await Generator.start(this.#options, events)
    // The generator's own start is no time for the server, however long a slow machine takes for it.
    this.#endsAt = Date.now() + this.#options.minutes * 60_000
    let isComplete = false
    try {
      this.#stepper = new Stepper(generator, new TuningRoute(this.#options), this.#options.objectives)
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
      isComplete: isComplete && !this.#isFaulty && !this.#isOverMemory
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
    let found = await this.#search.upward(Math.min(firstClients, this.#most) * rate, 0)
    for (let moves = 0; found !== null && !this.#isStopped; moves += 1) {
      if (found.generator !== null) this.#endAtGenerator(found.held, found.generator)
      if (moves > 0 && found.about !== null) this.#report(`the limit is at about ${Math.round(found.about)} events/s: measuring around it`)
      const place = await this.#measureLoads(loadsFor(found.about, this.#most * rate), moves === 0, moves < mostMoves)
      found = place === null ? null : await this.#searchFrom(place)
    }
  }

  /** The generator cannot make more load: the largest that it made is the end. */
  #endAtGenerator (held: number, reason: string): void {
    this.#isGeneratorLimited = true
    this.#remarks.push(`Beyond ${Math.round(held)} events a second ${reason}; the run goes no further.`)
    this.#most = Math.max(1, Math.floor(held / this.#options.rate))
  }

  /** Looks for the limit again, where the loads that were measured do not have it among them. */
  async #searchFrom (place: Exclude<Place, { is: 'within' }>): Promise<Found | null> {
    if (place.is === 'low') return { about: place.about, held: 0, generator: null }
    this.#report(place.is === 'above' ? `${Math.round(place.held)} events/s still hold: looking for the limit above` : `${Math.round(place.failed.load)} events/s do not hold: looking for the limit below`)
    return place.is === 'above' ? await this.#search.upward(place.held * 1.4, place.held) : await this.#search.downward(place.failed, 0)
  }

  /**
   * Measures loads in turns, until the time is over.
   *
   * @param mayMove whether the run may look for the limit elsewhere
   * @returns where the limit lies, if it is not among these loads; null when all is measured
   */
  async #measureLoads (loads: readonly number[], hasControl: boolean, mayMove: boolean): Promise<Exclude<Place, { is: 'within' }> | null> {
    const trials = loads.map((): Trial[] => [])
    const { repeats } = this.#timing(loads.length, hasControl, null)
    for (let repeat = 0; repeat < repeats; repeat += 1) {
      const { warmMs, windowMs } = this.#timing(loads.length, hasControl && repeat === 0, repeats - repeat)
      const measure = async (kind: StepKind, index: number): Promise<boolean> => {
        if (this.#isStopped || !this.#hasRoom(warmMs + windowMs)) return false
        const step = await this.#step(kind, repeat, loads[index]!, warmMs, windowMs)
        if (step !== null) trials[index]!.push(this.#trialOf(step))
        return !this.#isStopped
      }
      if (hasControl && repeat === 0) {
        for (const again of [0, 1]) if (!this.#isStopped) await this.#step('control', again, loads[Math.floor(loads.length / 3)]!, warmMs, windowMs)
      }
      for (const index of orderOf(loads.length, repeat)) {
        if (await measure('measured', index)) continue
        if (!this.#isStopped) this.#remarks.push(`The time was over in repeat ${repeat + 1} of ${repeats}.`)
        return null
      }
      for (const index of failedByOthers(trials).slice(0, mostAgain)) await measure('measured', index)
      if (this.#isStopped) return null
      const place = placeOf(trials)
      if (place.is === 'within' || !mayMove || !this.#hasRoom(this.#moveMs)) continue
      if (place.is === 'above' ? place.held < 0.99 * this.#most * this.#options.rate : place.is === 'below' || repeat === 0) return place
    }
    return null
  }

  /** Time that it takes to look elsewhere. */
  get #moveMs (): number { return Math.min(25_000, this.#options.minutes * 60_000 * 0.25) }

  #hasRoom (milliseconds: number): boolean { return Date.now() + milliseconds <= this.#endsAt }

  /** @param repeats those that are still to come; null for as many as fit */
  #timing (loads: number, hasControl: boolean, repeats: number | null): Timing {
    const { quick } = this.#options
    return timingFor({ loads, extra: hasControl ? 2 : 0, milliseconds: this.#endsAt - Date.now(), quick, repeats, overheadMs: this.#overheadMs })
  }

  #trialOf (step: Step): Trial {
    return { load: step.load, achieved: step.achieved, holds: holds(step, this.#options.objectives), isBehind: fallsBehind(step), isDisturbed: isDisturbed(step), void: step.void }
  }

  /** A short step, for the search. */
  async #attempt (load: number): Promise<Trial | 'refused' | null> {
    if (!this.#hasRoom(rampWarmMs + rampWindowMs)) {
      this.#stop('The time was over before the limit was found.')
      return null
    }
    const step = await this.#step('ramp', 0, load, rampWarmMs, rampWindowMs)
    return this.#isStopped ? null : step === null ? 'refused' : this.#trialOf(step)
  }

  async #step (kind: StepKind, repeat: number, wanted: number, warmMs: number, windowMs: number): Promise<Step | null> {
    const { rate, maxMemoryBytes } = this.#options
    // The server may have refused clients since the load was chosen.
    const load = Math.min(wanted, this.#most * rate)
    const clients = Math.max(1, Math.min(this.#most, Math.round(load / rate)))
    const startedAt = Date.now()
    const step = await this.#stepper.measure({ kind, repeat, clients, load, warmMs, windowMs })
    if (kind !== 'ramp') this.#overheadMs = Math.max(leastOverheadMs, 0.7 * this.#overheadMs + 0.3 * (Date.now() - startedAt - warmMs - windowMs))
    if ('reason' in step) {
      await this.#refuse(clients, step)
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
    if (step.refusedShare > busyLimit) {
      const hint = step.statuses[429] === undefined
        ? 'do the events fit the contract, and does the server need --headers or --cookie?'
        : 'something before the command channels answers 429, a rate limit perhaps, which must let this machine through.'
      this.#fail(`The server refused ${Math.round(step.refusedShare * 100)} % of the events (${Object.keys(step.statuses).join(', ')}): ${hint}`)
    }
    return step
  }

  /** Goes on with as many clients as the server takes. */
  async #refuse (clients: number, { reason, open }: Refusal): Promise<void> {
    const refusals = (await this.#stepper.figures())?.stats.refusals ?? null
    const before = this.#figures?.stats.refusals ?? null
    const option = refusals === null || before === null ? null : (Object.keys(refusals) as SessionLimitOption[]).find((name) => refusals[name] > before[name]) ?? null
    if (open === 0 && this.#steps.length > 0) return this.#fail(`The server went away: ${reason}. Did it crash?`)
    // Where only the probe had no room, it takes the place of a client.
    const fewer = open >= clients && this.#refusal === null ? clients : Math.min(clients - 1, open)
    this.#remarks.push(fewer < 1 ? `No client could connect: ${reason}.` : `More than ${fewer} clients could not connect: ${reason}. The run goes no further.`)
    this.#refusal = { reason, option, isSessionLimit: option !== null || /FST_ERR_TETHER_SESSION_LIMIT|with 1013$/.test(reason) }
    this.#most = fewer
    this.#stepper.bound(fewer)
    if (fewer < 1) this.#isStopped = true
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

/** The loads whose last trial says nothing: it failed, and others may have caused that. */
function failedByOthers (trials: ReadonlyArray<readonly Trial[]>): number[] {
  return trials.flatMap((some, index) => {
    const last = some.at(-1)
    return last !== undefined && !last.holds && (last.isDisturbed || last.void !== null) ? [index] : []
  })
}

function describe (step: Step): string {
  const milliseconds = (value: number | null): string => value === null ? '–' : value < 10 ? value.toFixed(1) : String(Math.round(value))
  const worst = [step.answer, step.ping, step.handled].map(({ p99 }) => p99 ?? 0)
  return `${step.kind} ${step.clients} clients, ${step.offered.toFixed(1)} events/s: handled ${step.achieved.toFixed(1)}/s, p99 ${milliseconds(Math.max(...worst))} ms` +
    (step.server === null ? '' : `, loop ${Math.round(step.server.loop * 100)} %`) + (step.void === null ? '' : `; void: ${step.void}`)
}
