import { extname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { WeightedEvent } from '../input/events.ts'
import type { TuneOptions } from '../input/options.ts'
import { ChildProcess } from '../process/child-process.ts'
import type { ProbeCalls, ProbeReading } from '../generator/probe.ts'
import { targetOf } from '../generator/target.ts'
import type { WorkerCalls, WorkerReading } from '../generator/worker.ts'

/** Clients of one process of the generator. */
const clientsPerWorker = 8_000
const mostProbes = 20
/** The probes are at most this share of the readers, but there is one. */
const probeShare = 0.01
const leastPings = 10
/** A server answers 128 a second and session. */
const mostPings = 100
/** Pings are at most this share of the events. */
const pingShare = 0.01

/** The server ends a session this long after its page went away. */
const leaveMs = 2_500
const stopTimeoutMs = 3_000
/** A machine that is full of other work takes its time to start a process. */
const startTimeoutMs = 120_000

/** Why clients could not connect. */
export interface Refusal {
  readonly reason: string
  /** Clients that could, the probes among them. */
  readonly open: number
}

export interface GeneratorReading {
  readonly workers: readonly WorkerReading[]
  readonly probe: ProbeReading
}

/** The processes that make the load and measure it. */
export class Generator {
  readonly #workers: ReadonlyArray<ChildProcess<WorkerCalls>>
  readonly #probe: ChildProcess<ProbeCalls>
  readonly #connectRate: number
  /** Most streams, the probes among them. */
  #maxClients: number
  #open = 0
  #probes = 0
  #leftAt = 0

  private constructor (workers: ReadonlyArray<ChildProcess<WorkerCalls>>, probe: ChildProcess<ProbeCalls>, { connectRate, maxClients }: Pick<TuneOptions, 'connectRate' | 'maxClients'>) {
    this.#workers = workers
    this.#probe = probe
    this.#connectRate = connectRate
    this.#maxClients = maxClients
  }

  static async start ({ url, headers, transport, readers, maxClients, connectRate }: TuneOptions, events: readonly WeightedEvent[]): Promise<Generator> {
    const target = targetOf(url, headers, transport)
    const workers: Array<ChildProcess<WorkerCalls>> = []
    for (let number = 1; number <= Math.ceil(maxClients / clientsPerWorker); number += 1) {
      const worker = await ChildProcess.start<WorkerCalls>(moduleOf('worker'), { name: `the load generator ${number}`, startTimeoutMs })
      await worker.call('setUp', { target, mix: readers, events, seed: number * 1_000 })
      workers.push(worker)
    }
    const probe = await ChildProcess.start<ProbeCalls>(moduleOf('probe'), { name: 'the probe', startTimeoutMs })
    await probe.call('setUp', target)
    return new Generator(workers, probe, { connectRate, maxClients })
  }

  /** Opens or closes clients. The probes are beside them, or among them where there may be no more. Returns why it could not; null if it could. */
  async resize (clients: number): Promise<Refusal | null> {
    const refusal = await this.#resize(clients)
    // Sessions that were closed a moment ago may still take the room.
    if (refusal === null || Date.now() > this.#leftAt + leaveMs) return refusal
    await delay(leaveMs)
    return await this.#resize(clients)
  }

  /** Lets the probes be among the clients: the server takes no more streams than this. */
  bound (streams: number): void {
    this.#maxClients = Math.min(this.#maxClients, streams)
  }

  async #resize (clients: number): Promise<Refusal | null> {
    const count = this.#workers.length
    if (clients < this.#open) this.#leftAt = Date.now()
    const probes = this.#maxClients === 1 ? 0 : Math.min(mostProbes, Math.max(1, Math.floor(clients * probeShare)))
    const senders = Math.min(clients, this.#maxClients - probes)
    const timeoutMs = 30_000 + clients / this.#connectRate * 2_000
    const answers = await Promise.all(this.#workers.map(async (worker, index) => await worker.call('resize', {
      count: Math.floor(senders / count) + (index < senders % count ? 1 : 0),
      perSecond: this.#connectRate / count
    }, timeoutMs)))
    this.#open = answers.reduce((sum, one) => sum + one.open, 0)
    const fault = answers.find((one) => one.fault !== null)?.fault ?? null
    // Without room for all clients, the probes that are there must do.
    const probe = fault === null ? await this.#probe.call('resize', probes) : { fault: null, open: this.#probes }
    this.#probes = probe.open
    const reason = fault ?? probe.fault
    return reason === null ? null : { reason, open: this.#open + this.#probes }
  }

  async drive (perSecond: number): Promise<void> {
    await Promise.all(this.#workers.map(async (worker) => await worker.call('drive', perSecond / this.#workers.length)))
    await this.#probe.call('drive', perSecond === 0 ? 0 : Math.min(mostPings, Math.max(leastPings, perSecond * pingShare)))
  }

  async mark (): Promise<void> {
    await Promise.all([...this.#workers.map(async (worker) => await worker.call('mark', undefined)), this.#probe.call('mark', undefined)])
  }

  /** @param graceMs longest wait for late answers */
  async take (graceMs: number): Promise<GeneratorReading> {
    const [workers, probe] = await Promise.all([
      Promise.all(this.#workers.map(async (worker) => await worker.call('take', graceMs))),
      this.#probe.call('take', graceMs)
    ])
    return { workers, probe }
  }

  get pids (): number[] { return [...this.#workers, this.#probe].flatMap(({ pid }) => pid ?? []) }

  /** Ends the sessions and the processes. */
  async stop (): Promise<void> {
    const leave = async (child: ChildProcess<{ close: () => Promise<void> }>): Promise<void> => { await child.call('close', undefined, stopTimeoutMs).catch(() => {}) }
    await Promise.all([...this.#workers.map(async (worker) => await leave(worker)), leave(this.#probe)])
    await Promise.all([...this.#workers, this.#probe].map(async (child) => await child.stop()))
  }
}

/** A module beside this room: TypeScript in the repository, JavaScript in the package. */
function moduleOf (name: string): URL {
  return new URL(`../generator/${name}${extname(import.meta.url)}`, import.meta.url)
}
